import type { EarlierContents } from "@vmm/cpr";

/** What holds RAM on the host's side: a range of this process's addresses, and the fd behind it where there is one. */
export interface MemoryBackend {
  /** The backend's name, such as `ram0`: also that of its fd in the CPR fd table. */
  readonly id: string;
  /** Size in bytes, whole pages. */
  readonly size: number;
  /** Whether another process that maps `fd` sees the same RAM. Only then can a live update keep it in place. */
  readonly share: boolean;
  /** The file that holds the RAM; missing for private memory. */
  readonly fd?: number;
  /** First address in this process. */
  readonly address: number;
  /** Of a file that was there, with something in it. */
  readonly earlier?: EarlierContents;
  /** Unmaps the RAM and closes the fd. No view of it may be used after. */
  close(): void;
}

/** The part of the CPR fd table that backends use: where the fd of an earlier VMM is found, and one's own is saved. */
export interface BackendFds {
  findFd(name: string, id?: number): number | undefined;
  saveFd(name: string, id: number, fd: number): void;
  deleteFd(name: string, id?: number): void;
}
