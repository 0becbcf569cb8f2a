// A form with data-passkey asks the browser for a passkey, fills in what it answers, and is
// sent then. What counts is checked by the agent, not here.
"use strict";
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const listed = (ids) => ids.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) }));

async function answer(form) {
  const { passkey, host, challenge, known, account, name } = form.dataset;
  const common = { challenge: bytes(challenge), timeout: 120000 };
  if (passkey === "create") {
    const made = await navigator.credentials.create({ publicKey: { ...common,
      rp: { id: host, name: "Sallyport at the scanner" }, user: { id: bytes(account), name, displayName: name },
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })), excludeCredentials: listed(known), attestation: "none",
      authenticatorSelection: { residentKey: "required", userVerification: "required" } } });
    return { client_data: made.response.clientDataJSON, attestation: made.response.attestationObject };
  }
  const got = await navigator.credentials.get({ publicKey: { ...common, rpId: host, allowCredentials: listed(known), userVerification: "required" } });
  return { id: got.rawId, client_data: got.response.clientDataJSON, authenticator_data: got.response.authenticatorData, signature: got.response.signature };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const said = form.querySelector("[role=alert]"), button = form.querySelector("button");
  button.disabled = false; // a press before this would send nothing
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    said.hidden = true;
    button.disabled = true;
    try {
      for (const [field, value] of Object.entries(await answer(form))) form.elements[field].value = text(value);
      form.submit();
    } catch (err) {
      const why = { InvalidStateError: "This passkey is registered already.", NotSupportedError: "This device has no passkey of a kind that is taken here.", SecurityError: "The browser allows no passkeys at this address." };
      said.textContent = (navigator.credentials ? why[err.name] ?? "No passkey was used: it was cancelled, took too long, or there is none for this page." : "This browser knows no passkeys here.") + " Nothing was signed. Press again to try once more.";
      said.hidden = false;
      button.disabled = false;
    }
  });
}
