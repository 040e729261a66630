// The reference SDK as a client: a line of JSON in, a line of JSON out.

import { toClientEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/client";
import { UptoEvmScheme } from "@x402/evm/upto/client";
import { appendPaymentIdentifierToExtensions, createSIWxClientExtension, generatePaymentId } from "@x402/extensions";
import { wrapFetchWithPayment, x402Client, x402HTTPClient } from "@x402/fetch";
import { ExactSvmScheme } from "@x402/svm/exact/client";
import { createInterface } from "node:readline";
import { privateKeyToAccount } from "viem/accounts";
import { env, reader, svmSigner } from "./settings.mjs";

/** Signs what one line of input needs, and knows nothing of any other. */
async function payer({ evmKey, svmKey, prefer = {}, siwx = [], paymentId, spend }) {
  const liked = offer =>
    (!prefer.network || offer.network === prefer.network) && (!prefer.scheme || offer.scheme === prefer.scheme);
  const client = new x402Client((_, offers) => offers.find(liked) ?? offers[0]);
  const account = privateKeyToAccount(evmKey ?? env.EVM_PRIVATE_KEY);
  const evm = toClientEvmSigner(account, reader);
  const svm = await svmSigner(svmKey ?? env.SVM_PRIVATE_KEY);
  client
    .register("eip155:*", new ExactEvmScheme(evm, { rpcUrl: env.EVM_RPC_URL }))
    .register("eip155:*", new UptoEvmScheme(evm, { rpcUrl: env.EVM_RPC_URL }))
    .register("solana:*", new ExactSvmScheme(svm, { rpcUrl: env.SVM_RPC_URL }));
  if (spend !== "default") client.setSpendControls(false);
  if (siwx.length > 0) {
    client.registerExtension(createSIWxClientExtension({ signers: siwx.map(wallet => ({ evm: account, svm })[wallet]) }));
  }
  if (paymentId) {
    const id = paymentId === "auto" ? generatePaymentId() : paymentId;
    client.onBeforePaymentCreation(async ({ paymentRequired }) => {
      if (paymentRequired.extensions) appendPaymentIdentifierToExtensions(paymentRequired.extensions, id);
    });
  }
  return client;
}

async function run(errand) {
  const { url, method = "GET", headers = {}, body } = errand;
  const text = body === undefined || body === null || typeof body === "string" ? body : JSON.stringify(body);
  const typed = Object.keys(headers).some(name => name.toLowerCase() === "content-type");
  const type = text !== body && !typed ? { "content-type": "application/json" } : {};
  const pay = wrapFetchWithPayment(fetch, new x402HTTPClient(await payer(errand)));
  const response = await pay(url, { method, headers: { ...type, ...headers }, body: text });
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
}

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  let id = null;
  const answered = (async () => {
    const errand = JSON.parse(line);
    id = errand.id ?? null;
    return run(errand);
  })();
  answered.then(
    answer => console.log(JSON.stringify({ id, ...answer })),
    why => console.log(JSON.stringify({ id, error: why instanceof Error ? why.message : String(why) })),
  );
}
