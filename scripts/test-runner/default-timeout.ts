import { setDefaultTimeout } from "bun:test";

// A test that hangs is a failure with a name, not a stuck run; but a test on a busy machine may take its time.
setDefaultTimeout(30_000);
