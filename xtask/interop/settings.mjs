// What the three programs share: the environment, the chains, the keys.

import { base58 } from "@scure/base";
import { createKeyPairSignerFromBytes } from "@solana/kit";
import { createPublicClient, defineChain, http } from "viem";

export const env = process.env;
export const EVM = env.EVM_NETWORK ?? "eip155:84532";
export const SVM = env.SVM_NETWORK ?? "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
export const USDC = env.EVM_USDC ?? "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

export const chain = defineChain({
  id: Number(EVM.split(":")[1]),
  name: EVM,
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [env.EVM_RPC_URL ?? "http://127.0.0.1:8545"] } },
});
// Blocks of test networks are short.
export const node = { chain, transport: http(env.EVM_RPC_URL), pollingInterval: 50, cacheTime: 0 };
export const reader = createPublicClient(node);

/** A Solana key, from the base58 of its 64 bytes. */
export const svmSigner = key => createKeyPairSignerFromBytes(base58.decode(key));

/** Serves on this machine and says where. */
export function serve(app) {
  const server = app.listen(Number(env.PORT ?? 0), "127.0.0.1", () => {
    console.log(`READY http://127.0.0.1:${server.address().port}`);
  });
}
