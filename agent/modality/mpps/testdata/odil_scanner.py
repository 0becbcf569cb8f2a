"""A scanner's side of MPPS by Debian's python3-odil: odil_scanner.py host:port called calling syntax step...
A step is echo, create:UID, set:UID:STATUS or images:UID:COUNT; prints one status per line."""

import sys

import odil

at, called, calling, syntax, *steps = sys.argv[1:]
host, port = at.split(":")
MPPS = "1.2.840.10008.3.1.2.3.3"
transfer = odil.registry.ExplicitVRLittleEndian if syntax == "explicit" else odil.registry.ImplicitVRLittleEndian


def data(fields):
    d = odil.DataSet()
    for name, value in fields.items():
        d.add(getattr(odil.registry, name), value)
    return d


association = odil.Association()
association.set_peer_host(host)
association.set_peer_port(int(port))
context = odil.AssociationParameters.PresentationContext
association.update_parameters().set_calling_ae_title(calling).set_called_ae_title(called).set_presentation_contexts([
    context(3, MPPS, [transfer], context.Role.SCU),
    context(1, odil.registry.Verification, [transfer], context.Role.SCU),
])
try:
    association.associate()
except Exception as e:
    print("rejected", e)
    sys.exit()
for number, step in enumerate(steps, 1):
    if step == "echo":
        echo = odil.EchoSCU(association)
        echo.set_affected_sop_class(odil.registry.Verification)
        echo.echo()
        print("0000", flush=True)
        continue
    verb, uid, *what = step.split(":")
    if verb == "create":
        item = data({"StudyInstanceUID": ["1.2.3.4"], "AccessionNumber": ["A-1"]})
        fields = data({
            "PatientName": ["DOE^JANE"], "PatientID": ["T-000123"], "Modality": ["PT"],
            "PerformedStationAETitle": [calling], "PerformedProcedureStepStatus": ["IN PROGRESS"],
            "ScheduledStepAttributesSequence": [item],
        })
        request = odil.messages.NCreateRequest(number, MPPS, fields)
        request.set_affected_sop_instance_uid(uid)
    else:
        fields = data({"PerformedProcedureStepStatus": [what[0] if verb == "set" else "COMPLETED"]})
        if verb == "images":
            images = [data({"ReferencedSOPClassUID": ["1.2.840.10008.5.1.4.1.1.128"], "ReferencedSOPInstanceUID": ["1.2.3.%d" % i]}) for i in range(int(what[0]))]
            fields.add(odil.registry.PerformedSeriesSequence, [data({"ReferencedImageSequence": images})])
        request = odil.messages.NSetRequest(number, MPPS, uid, fields)
    association.send_message(request, MPPS)
    print("%04x" % association.receive_message().get_command_set().as_int("Status")[0], flush=True)
association.release()
