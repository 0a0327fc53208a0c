// Passkeys: what the server asks goes to the device, what the device answers goes into the form, and the form is sent.
// A form says data-passkey="create" or "get", and in data-options the id of the JSON that it asks; without, it fetches it.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const withBytes = (descriptors) => descriptors?.map((one) => ({ ...one, id: bytes(one.id) }));

const wrong = {
  NotAllowedError: "No passkey was given, or it took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "There are no passkeys at this address: open the console by its https:// name, or as localhost.",
};

async function asked(form) {
  if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent).publicKey;
  const response = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error("The console gave no answer. Wait a minute and try again.");
  return (await response.json()).request_options.publicKey;
}

async function answer(form) {
  const options = await asked(form);
  const publicKey = { ...options, challenge: bytes(options.challenge) };
  if (form.dataset.passkey === "create") {
    publicKey.user = { ...options.user, id: bytes(options.user.id) };
    publicKey.excludeCredentials = withBytes(options.excludeCredentials);
    return navigator.credentials.create({ publicKey });
  }
  publicKey.allowCredentials = withBytes(options.allowCredentials);
  return navigator.credentials.get({ publicKey });
}

function asJson(credential) {
  const names = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const given = names.filter((name) => credential.response[name]);
  const response = Object.fromEntries(given.map((name) => [name, text(credential.response[name])]));
  const transports = credential.response.getTransports?.();
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: transports ? { ...response, transports } : response,
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("[type=submit]");
  const said = form.querySelector("[data-passkey-error]");
  const say = (words) => {
    said.textContent = words;
    said.hidden = !words;
  };
  button.disabled = false;
  if (!window.PublicKeyCredential) {
    button.disabled = true;
    say("This browser has no passkeys here: it needs https://, or localhost.");
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("");
    try {
      form.elements.credential.value = asJson(await answer(form));
      form.submit();
    } catch (error) {
      say(wrong[error.name] ?? error.message);
      button.disabled = false;
    }
  });
}
