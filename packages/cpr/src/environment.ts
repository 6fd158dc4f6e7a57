/** The environment variables by which a VMM tells the program that it runs what it is to do. Each holds an fd's number. */

/** The CPR state: take over the guest. */
export const CPR_STATE_ENV = "VMM_CPR_EXEC_STATE";

/** The CPR state in a preflight: say whether you could. */
export const CPR_PREFLIGHT_ENV = "VMM_CPR_PREFLIGHT";

/** The socket to the source of a transfer: be its successor. */
export const CPR_TRANSFER_ENV = "VMM_CPR_TRANSFER";
