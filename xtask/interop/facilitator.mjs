// The reference SDK as a facilitator.

import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { BAZAAR, EIP2612_GAS_SPONSORING, createErc20ApprovalGasSponsoringExtension, extractDiscoveryInfo } from "@x402/extensions";
import { toFacilitatorSvmSigner } from "@x402/svm";
import { ExactSvmScheme } from "@x402/svm/exact/facilitator";
import express from "express";
import { createWalletClient, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { EVM, SVM, env, node, serve, svmSigner } from "./settings.mjs";

const account = privateKeyToAccount(env.EVM_PRIVATE_KEY);
const wallet = createWalletClient({ ...node, account }).extend(publicActions);
const evm = toFacilitatorEvmSigner({
  address: account.address,
  getCode: args => wallet.getCode(args),
  readContract: args => wallet.readContract(args),
  verifyTypedData: args => wallet.verifyTypedData(args),
  writeContract: args => wallet.writeContract(args),
  sendTransaction: args => wallet.sendTransaction(args),
  waitForTransactionReceipt: args => wallet.waitForTransactionReceipt(args),
});
const sponsor = {
  ...evm,
  // The payer's signed approval first, then the payment.
  async sendTransactions(transactions) {
    const hashes = [];
    for (const transaction of transactions) {
      const hash =
        typeof transaction === "string"
          ? await wallet.sendRawTransaction({ serializedTransaction: transaction })
          : await wallet.sendTransaction(transaction);
      const receipt = await wallet.waitForTransactionReceipt({ hash });
      if (receipt.status !== "success") throw new Error(`transaction_failed: ${hash}`);
      hashes.push(hash);
    }
    return hashes;
  },
};
const svm = toFacilitatorSvmSigner(await svmSigner(env.SVM_PRIVATE_KEY), { defaultRpcUrl: env.SVM_RPC_URL });

/** What was paid for, by resource. */
const catalogue = new Map();

const facilitator = new x402Facilitator()
  .register(EVM, new ExactEvmScheme(evm, { eip6492AllowedFactories: [] }))
  .register(EVM, new UptoEvmScheme(evm))
  .register(SVM, new ExactSvmScheme(svm))
  .registerExtension(EIP2612_GAS_SPONSORING)
  .registerExtension(createErc20ApprovalGasSponsoringExtension(sponsor))
  .registerExtension(BAZAAR)
  .onAfterSettle(async ({ paymentPayload, requirements }) => {
    const found = extractDiscoveryInfo(paymentPayload, requirements);
    if (!found) return;
    const { resourceUrl, description, mimeType, serviceName, tags, iconUrl, extensions } = found;
    catalogue.set(resourceUrl, {
      resource: resourceUrl, type: "http", x402Version: 2, accepts: [requirements], lastUpdated: new Date().toISOString(),
      description, mimeType, serviceName, tags, iconUrl, extensions,
    });
  });

const app = express();
app.use(express.json({ limit: "1mb" }));
const answer = act => async (request, response) => {
  try {
    response.json(await act(request.body ?? {}));
  } catch (why) {
    response.status(500).json({ error: why instanceof Error ? why.message : String(why) });
  }
};
app.post("/verify", answer(asked => facilitator.verify(asked.paymentPayload, asked.paymentRequirements)));
app.post("/settle", answer(asked => facilitator.settle(asked.paymentPayload, asked.paymentRequirements)));
app.get("/supported", answer(() => facilitator.getSupported()));
app.get("/discovery/resources", answer(() => {
  const items = [...catalogue.values()];
  return { x402Version: 2, items, pagination: { limit: 100, offset: 0, total: items.length } };
}));
serve(app);
