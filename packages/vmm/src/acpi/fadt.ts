/** The FADT: where the fixed hardware is and what the platform lacks (ACPI 6.5, section 5.2.9). Not hardware-reduced. */
import { bytes, struct, u8, u16, u32, u64 } from "@vmm/libc";
import {
  ACPI_PM_BASE,
  PM_TIMER_LENGTH,
  PM_TIMER_OFFSET,
  PM1_CONTROL_LENGTH,
  PM1_CONTROL_OFFSET,
  PM1_EVENT_LENGTH,
  PM1_EVENT_OFFSET,
  SCI_GSI,
} from "../chipset/acpi-pm.ts";
import { RESET_PORT, RESET_VALUE } from "../chipset/reset-control.ts";
import { RTC } from "../chipset/rtc-calendar.ts";
import { acpiTable, GenericAddress, ioAddress } from "./table.ts";

const FADT_REVISION = 6;
const FADT_MINOR = 3;

/** What follows the header. */
export const FadtBody = struct(
  "acpi_table_fadt",
  {
    facs: u32,
    dsdt: u32,
    reserved: u8,
    profile: u8,
    sciInterrupt: u16,
    smiCommand: u32,
    acpiEnable: u8,
    acpiDisable: u8,
    s4Request: u8,
    pstateControl: u8,
    pm1aEvent: u32,
    pm1bEvent: u32,
    pm1aControl: u32,
    pm1bControl: u32,
    pm2Control: u32,
    pmTimer: u32,
    gpe0: u32,
    gpe1: u32,
    pm1EventLength: u8,
    pm1ControlLength: u8,
    pm2ControlLength: u8,
    pmTimerLength: u8,
    gpe0Length: u8,
    gpe1Length: u8,
    gpe1Base: u8,
    cstateControl: u8,
    c2Latency: u16,
    c3Latency: u16,
    flushSize: u16,
    flushStride: u16,
    dutyOffset: u8,
    dutyWidth: u8,
    dayAlarm: u8,
    monthAlarm: u8,
    century: u8,
    bootFlags: u16,
    reserved2: u8,
    flags: u32,
    resetRegister: GenericAddress.type,
    resetValue: u8,
    armBootFlags: u16,
    minorRevision: u8,
    xFacs: u64,
    xDsdt: u64,
    xPm1aEvent: GenericAddress.type,
    xPm1bEvent: GenericAddress.type,
    xPm1aControl: GenericAddress.type,
    xPm1bControl: GenericAddress.type,
    xPm2Control: GenericAddress.type,
    xPmTimer: GenericAddress.type,
    xGpe0: GenericAddress.type,
    xGpe1: GenericAddress.type,
    sleepControl: GenericAddress.type,
    sleepStatus: GenericAddress.type,
    hypervisor: bytes(8),
  },
  { packed: true },
);

/** Latencies (µs) above these mean that there is no such state. */
const NO_C2 = 101;
const NO_C3 = 1001;

// Boot architecture flags. Absent on purpose: there is an 8042 for its reset alone, and a guest need not probe it.
const HAS_ISA_DEVICES = 1 << 0;
const NO_VGA = 1 << 2;

// Feature flags.
const WBINVD_WORKS = 1 << 0;
const HAS_C1 = 1 << 2;
const NO_FIXED_SLEEP_BUTTON = 1 << 5;
const TIMER_OF_32_BITS = 1 << 8;
const HAS_RESET_REGISTER = 1 << 10;
const HEADLESS = 1 << 12;

/** @param facs @param dsdt Guest-physical addresses below 4 GiB. */
export function fadt(facs: number, dsdt: number): Uint8Array {
  const event = ACPI_PM_BASE + PM1_EVENT_OFFSET;
  const control = ACPI_PM_BASE + PM1_CONTROL_OFFSET;
  const timer = ACPI_PM_BASE + PM_TIMER_OFFSET;
  const body = FadtBody.of({
    facs,
    dsdt,
    sciInterrupt: SCI_GSI,
    pm1aEvent: event,
    pm1aControl: control,
    pmTimer: timer,
    pm1EventLength: PM1_EVENT_LENGTH,
    pm1ControlLength: PM1_CONTROL_LENGTH,
    pmTimerLength: PM_TIMER_LENGTH,
    c2Latency: NO_C2,
    c3Latency: NO_C3,
    century: RTC.century,
    bootFlags: HAS_ISA_DEVICES | NO_VGA,
    flags: WBINVD_WORKS | HAS_C1 | NO_FIXED_SLEEP_BUTTON | TIMER_OF_32_BITS | HAS_RESET_REGISTER | HEADLESS,
    resetRegister: ioAddress(RESET_PORT, 1, 1),
    resetValue: RESET_VALUE,
    minorRevision: FADT_MINOR,
    xFacs: BigInt(facs),
    xDsdt: BigInt(dsdt),
    xPm1aEvent: ioAddress(event, PM1_EVENT_LENGTH, 2),
    xPm1aControl: ioAddress(control, PM1_CONTROL_LENGTH, 2),
    xPmTimer: ioAddress(timer, PM_TIMER_LENGTH, 4),
  });
  return acpiTable("FACP", FADT_REVISION, body.$bytes);
}
