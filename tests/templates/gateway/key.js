// Has the security key sign the server's challenge, and goes where the server says.
"use strict";
const button = document.getElementById("key");
const refused = document.getElementById("refused");
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

button.addEventListener("click", async () => {
  button.disabled = true;
  refused.hidden = true;
  try {
    const { challenge, credential, party } = button.dataset;
    const signed = await navigator.credentials.get({
      publicKey: {
        challenge: bytes(challenge),
        rpId: party,
        allowCredentials: [{ type: "public-key", id: bytes(credential) }],
        userVerification: "discouraged", // the password was the first factor
        timeout: 60000,
      },
    });
    const answer = await fetch("/cgi/fido2", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        id: base64url(signed.rawId),
        clientDataJSON: base64url(signed.response.clientDataJSON),
        authenticatorData: base64url(signed.response.authenticatorData),
        signature: base64url(signed.response.signature),
      }),
    });
    location.replace((await answer.json()).next);
  } catch {
    refused.hidden = false;
    button.disabled = false;
  }
});
