// A scanner's side of MPPS by npm's dcmjs-dimse: node dimse.cjs host:port called calling syntax step...
// A step is echo, create:UID, set:UID:STATUS or images:UID:COUNT; prints one status per line.
const { Client, Dataset, association, constants, requests } = require('dcmjs-dimse');
const { SopClass, TransferSyntax } = constants;

const [at, called, calling, syntax, ...steps] = process.argv.slice(2);
const [host, port] = at.split(':');
const mpps = SopClass.ModalityPerformedProcedureStep;
const transfer = syntax === 'explicit' ? TransferSyntax.ExplicitVRLittleEndian : TransferSyntax.ImplicitVRLittleEndian;

// The client proposes both syntaxes always; a scanner that has one proposes that.
const { Association } = association;
const propose = Association.prototype.addPresentationContextFromRequest;
Association.prototype.addPresentationContextFromRequest = function (r) { return propose.call(this, r, transfer); };

const patient = {
  PatientName: 'DOE^JANE', PatientID: 'T-000123', PatientBirthDate: '19700101', PatientSex: 'F',
};
const scheduled = [{ StudyInstanceUID: '1.2.3.4', AccessionNumber: 'A-1', ScheduledProcedureStepDescription: 'WB PET/CT' }];

function request(step) {
  const [verb, uid, what] = step.split(':');
  if (verb === 'echo') return new requests.CEchoRequest();
  const r = verb === 'create' ? new requests.NCreateRequest(mpps, uid) : new requests.NSetRequest(mpps, uid);
  const fields = { PerformedProcedureStepStatus: what };
  if (verb === 'create') {
    Object.assign(fields, patient, {
      Modality: 'PT', PerformedStationAETitle: calling, PerformedProcedureStepID: 'P1', PerformedProcedureStepStatus: 'IN PROGRESS',
      PerformedProcedureStepStartDate: '20261123', PerformedProcedureStepStartTime: '101500', ScheduledStepAttributesSequence: scheduled,
    });
  } else if (verb === 'images') {
    fields.PerformedProcedureStepStatus = 'COMPLETED';
    fields.PerformedSeriesSequence = [{
      SeriesInstanceUID: '1.2.3.4.5',
      ReferencedImageSequence: Array.from({ length: Number(what) }, (_, i) => ({ ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.128', ReferencedSOPInstanceUID: `1.2.3.4.5.${i}` })),
    }];
  }
  r.setDataset(new Dataset(fields, transfer));
  return r;
}

const client = new Client();
for (const step of steps) {
  const r = request(step);
  r.on('response', (answer) => console.log(answer.getStatus().toString(16).padStart(4, '0')));
  client.addRequest(r);
}
client.on('associationRejected', (result) => { console.log(`rejected ${result.result} ${result.source} ${result.reason}`); });
client.on('networkError', (e) => { console.log(`network ${e.message}`); });
client.send(host, Number(port), calling, called, {});
