/** The keeper as a program of its own: `bun keeper/main.ts`, with its socket as fd 3. */
import { runKeeper } from "./keeper.ts";
import { KEEPER_SOCKET_FD } from "./protocol.ts";

runKeeper(KEEPER_SOCKET_FD);
