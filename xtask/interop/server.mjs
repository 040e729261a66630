// The reference SDK as a resource server.

import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { UptoEvmScheme } from "@x402/evm/upto/server";
import { paymentMiddleware, setSettlementOverrides, x402ResourceServer } from "@x402/express";
import {
  InMemorySIWxStorage, bazaarResourceServerExtension, createSIWxResourceServerExtension, declareDiscoveryExtension,
  declareEip2612GasSponsoringExtension, declareErc20ApprovalGasSponsoringExtension, declarePaymentIdentifierExtension,
  declareSIWxExtension, paymentIdentifierResourceServerExtension,
} from "@x402/extensions";
import { ExactSvmScheme } from "@x402/svm/exact/server";
import express from "express";
import { EVM, SVM, USDC, env, serve } from "./settings.mjs";

/** Purchases in memory, and nonces that are good once. */
class Storage extends InMemorySIWxStorage {
  nonces = new Set();
  hasUsedNonce(nonce) {
    return this.nonces.has(nonce);
  }
  recordNonce(nonce) {
    this.nonces.add(nonce);
  }
}

const evm = (price, extra) => ({ scheme: "exact", network: EVM, payTo: env.EVM_PAY_TO, price, maxTimeoutSeconds: 300, extra });
const svm = (price, extra) => ({ ...evm(price, extra), network: SVM, payTo: env.SVM_PAY_TO });
const units = (amount, asset, extra) => ({ amount, asset, extra: { assetTransferMethod: "permit2", ...extra } });
const permit2 = evm(units("1000", USDC, { name: "USDC", version: "2" }));
const plain = evm(units("1000", env.EVM_PLAIN, {}));
const upto = { ...evm(units("2000", USDC, { name: "USDC", version: "2" })), scheme: "upto" };
const byUnits = evm(context => `$${(0.001 * Number(context.adapter.getQueryParam("units") ?? 1)).toFixed(3)}`);
const purchase = declareSIWxExtension({ statement: "Sign in to read your purchase", expirationSeconds: 300 });
const identifier = required => ({ "payment-identifier": declarePaymentIdentifierExtension(required) });
const service = {
  mimeType: "application/json", serviceName: "Interop", tags: ["interop", "test"], iconUrl: "https://example.com/icon.png",
};
const weather = declareDiscoveryExtension({
  method: "GET",
  input: { units: "metric" },
  inputSchema: { properties: { units: { type: "string", enum: ["metric", "imperial"] } }, required: ["units"] },
  pathParamsSchema: { properties: { city: { type: "string" } }, required: ["city"] },
  output: { example: { city: "Paris", degrees: 21 } },
});
const echo = declareDiscoveryExtension({
  method: "POST",
  input: { text: "hello" },
  inputSchema: { properties: { text: { type: "string" } }, required: ["text"] },
  bodyType: "json",
  output: { example: { text: "hello" } },
});

const routes = {
  "GET /evm/eip3009": { accepts: evm("$0.001"), description: "EIP-3009", mimeType: "application/json" },
  "/evm/big": { accepts: evm("$5000") },
  "/evm/permit2": { accepts: permit2 },
  "/evm/permit2-eip2612": { accepts: permit2, extensions: declareEip2612GasSponsoringExtension() },
  "/evm/permit2-erc20": { accepts: plain, extensions: declareErc20ApprovalGasSponsoringExtension() },
  "/evm/upto": { accepts: upto },
  "/evm/upto-eip2612": { accepts: upto, extensions: declareEip2612GasSponsoringExtension() },
  "/evm/upfront": { accepts: evm("$0.001", { paymentFlow: "upfront" }) },
  "/svm/exact": { accepts: svm("$0.001"), description: "SPL transfer" },
  "/svm/memo": { accepts: svm("$0.001", { memo: "order-42" }) },
  "/multi": { accepts: [evm("$0.001"), svm("$0.001")] },
  "/dynamic": { accepts: byUnits },
  "/fails": { accepts: evm("$0.001") },
  "/siwx/evm": { accepts: evm("$0.001"), extensions: purchase },
  "/siwx/svm": { accepts: svm("$0.001"), extensions: purchase },
  "/siwx/auth": { accepts: [], extensions: declareSIWxExtension({ network: [EVM, SVM], expirationSeconds: 300 }) },
  "/pid/optional": { accepts: evm("$0.001"), extensions: identifier(false) },
  "/pid/required": { accepts: evm("$0.001"), extensions: identifier(true) },
  "GET /bazaar/weather/:city": { accepts: evm("$0.001"), description: "Weather by city", ...service, extensions: weather },
  "POST /bazaar/echo": { accepts: evm("$0.001"), description: "Echo", ...service, extensions: echo },
};

const app = express();
const storage = new Storage();
let payments;
app.use((request, response, next) => payments(request, response, next));
app.all("/fails", (request, response) => response.status(500).json({ ok: false, route: request.path }));
app.all(["/evm/upto", "/evm/upto-eip2612"], (request, response) => {
  setSettlementOverrides(response, { amount: String(request.query.use ?? "1000") });
  response.json({ ok: true, route: request.path });
});
app.all("/{*path}", (request, response) => response.json({ ok: true, route: request.path }));

const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: env.FACILITATOR_URL }))
  .register(EVM, new ExactEvmScheme())
  .register(EVM, new UptoEvmScheme())
  .register(SVM, new ExactSvmScheme())
  .registerExtension(createSIWxResourceServerExtension({ storage, origin: env.ORIGIN }))
  .registerExtension(paymentIdentifierResourceServerExtension)
  .registerExtension(bazaarResourceServerExtension);
payments = paymentMiddleware(routes, server);
serve(app);
