/*
 * The floor of cpr-exec: what a program without any runtime needs for the same. A VM with in-kernel interrupt chips, PIT
 * and vCPUs that count in RAM; at each line on stdin all state is saved to a memfd, the program executes itself, builds
 * the VM anew over the same RAM, loads the state and lets the vCPUs run.
 *
 * Usage: floor MIB CPUS TOUCH        prints "up" when the vCPUs run, and after an update how many ns each of its
 *                                    phases took, such as "up stop=9000 ..."; ends with its stdin
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CPUS = 64, MAX_MSRS = 512, MAX_CPUID = 256, COUNT = 0x2000, STRIDE = 64, CODE = 0x8000 };

struct vcpu {
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	volatile int stopped;
};

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[MAX_MSRS];
};

struct vcpu_state {
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct msrs msrs;
	struct kvm_vcpu_events events;
};

struct vm_state {
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;
};

enum { STOP, SAVE, EXEC, MAKE, LOAD, RUN, PHASES };

static const char *const phase_names[PHASES] = { "stop", "save", "exec", "make-vm", "load", "run" };

static int kvm, vm, cpus;
static struct vcpu vcpus[MAX_CPUS];
/* When each phase began, on CLOCK_MONOTONIC in ns; the last one is when the vCPUs ran. Handed on with the state. */
static int64_t stamps[PHASES + 1];

static void stamp(int phase)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	stamps[phase] = t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static void request(int fd, unsigned long number, void *argument, const char *what)
{
	check(ioctl(fd, number, argument) >= 0, what);
}

#define REQUEST(fd, number, argument) request(fd, number, argument, #number)

static void make_vm(char *ram, uint64_t size)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[MAX_CPUID];
	} cpuid = { .head = { .nent = MAX_CPUID } };
	struct kvm_userspace_memory_region slot = { .memory_size = size, .userspace_addr = (uint64_t)ram };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = 0xfffbc000;
	int i, length;

	check((kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) >= 0, "/dev/kvm");
	check((vm = ioctl(kvm, KVM_CREATE_VM, 0)) >= 0, "KVM_CREATE_VM");
	REQUEST(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	check(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000) >= 0, "KVM_SET_TSS_ADDR");
	REQUEST(vm, KVM_CREATE_IRQCHIP, 0);
	REQUEST(vm, KVM_CREATE_PIT2, &pit);
	REQUEST(vm, KVM_SET_USER_MEMORY_REGION, &slot);
	REQUEST(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	length = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	for (i = 0; i < cpus; i++) {
		check((vcpus[i].fd = ioctl(vm, KVM_CREATE_VCPU, i)) >= 0, "KVM_CREATE_VCPU");
		REQUEST(vcpus[i].fd, KVM_SET_CPUID2, &cpuid);
		vcpus[i].run = mmap(0, length, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[i].fd, 0);
	}
}

/* In real mode, from address 0 on: inc dword [count]; jmp */
static void boot(char *ram)
{
	int i;

	for (i = 0; i < cpus; i++) {
		uint16_t count = COUNT + STRIDE * i;
		unsigned char code[] = { 0x66, 0xff, 0x06, count & 0xff, count >> 8, 0xeb, 0xf9 };
		struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
		struct kvm_regs regs = { .rip = CODE + 16 * i, .rflags = 2 };
		struct kvm_sregs sregs;

		memcpy(ram + CODE + 16 * i, code, sizeof code);
		REQUEST(vcpus[i].fd, KVM_SET_MP_STATE, &mp);
		REQUEST(vcpus[i].fd, KVM_GET_SREGS, &sregs);
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
		REQUEST(vcpus[i].fd, KVM_SET_SREGS, &sregs);
		REQUEST(vcpus[i].fd, KVM_SET_REGS, &regs);
	}
}

/* Only the MSRs that can be read count: each that cannot is left out. */
static void list_msrs(struct msrs *msrs)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t indices[MAX_MSRS];
	} list = { .head = { .nmsrs = MAX_MSRS } };
	uint32_t i, n = 0;

	REQUEST(kvm, KVM_GET_MSR_INDEX_LIST, &list);
	for (i = 0; i < list.head.nmsrs; i++)
		if (list.indices[i] != 0x10)
			msrs->entries[n++].index = list.indices[i];
	for (;;) {
		int read;
		msrs->head.nmsrs = n;
		read = ioctl(vcpus[0].fd, KVM_GET_MSRS, msrs);
		check(read >= 0, "KVM_GET_MSRS");
		if ((uint32_t)read == n)
			return;
		memmove(&msrs->entries[read], &msrs->entries[read + 1], (n - read - 1) * sizeof *msrs->entries);
		n--;
	}
}

static void save(int fd)
{
	static struct vcpu_state s;
	static struct msrs list;
	struct vm_state v = { 0 };
	int i;

	list_msrs(&list);
	for (i = 0; i < cpus; i++) {
		int vcpu = vcpus[i].fd;
		s.msrs = list;
		REQUEST(vcpu, KVM_GET_MP_STATE, &s.mp);
		REQUEST(vcpu, KVM_GET_REGS, &s.regs);
		REQUEST(vcpu, KVM_GET_SREGS, &s.sregs);
		REQUEST(vcpu, KVM_GET_XSAVE, &s.xsave);
		REQUEST(vcpu, KVM_GET_XCRS, &s.xcrs);
		REQUEST(vcpu, KVM_GET_DEBUGREGS, &s.debug);
		REQUEST(vcpu, KVM_GET_LAPIC, &s.lapic);
		REQUEST(vcpu, KVM_GET_MSRS, &s.msrs);
		REQUEST(vcpu, KVM_GET_VCPU_EVENTS, &s.events);
		check(write(fd, &s, sizeof s) == sizeof s, "write");
	}
	for (i = 0; i < 3; i++) {
		v.chips[i].chip_id = i;
		REQUEST(vm, KVM_GET_IRQCHIP, &v.chips[i]);
	}
	REQUEST(vm, KVM_GET_PIT2, &v.pit);
	REQUEST(vm, KVM_GET_CLOCK, &v.clock);
	check(write(fd, &v, sizeof v) == sizeof v, "write");
}

static void load(int fd)
{
	static struct vcpu_state s;
	struct vm_state v;
	int i;

	lseek(fd, 0, SEEK_SET);
	for (i = 0; i < cpus; i++) {
		int vcpu = vcpus[i].fd;
		check(read(fd, &s, sizeof s) == sizeof s, "read");
		REQUEST(vcpu, KVM_SET_SREGS, &s.sregs);
		REQUEST(vcpu, KVM_SET_REGS, &s.regs);
		REQUEST(vcpu, KVM_SET_XSAVE, &s.xsave);
		REQUEST(vcpu, KVM_SET_XCRS, &s.xcrs);
		REQUEST(vcpu, KVM_SET_DEBUGREGS, &s.debug);
		REQUEST(vcpu, KVM_SET_LAPIC, &s.lapic);
		REQUEST(vcpu, KVM_SET_MSRS, &s.msrs);
		REQUEST(vcpu, KVM_SET_VCPU_EVENTS, &s.events);
		REQUEST(vcpu, KVM_SET_MP_STATE, &s.mp);
	}
	check(read(fd, &v, sizeof v) == sizeof v, "read");
	for (i = 0; i < 3; i++)
		REQUEST(vm, KVM_SET_IRQCHIP, &v.chips[i]);
	REQUEST(vm, KVM_SET_PIT2, &v.pit);
	v.clock.flags = 0;
	REQUEST(vm, KVM_SET_CLOCK, &v.clock);
}

/* Of an update. */
static void tell(void)
{
	char line[256] = "up";
	int length = 2, i;

	for (i = 0; stamps[RUN] && i < PHASES; i++)
		length += sprintf(line + length, " %s=%lld", phase_names[i], (long long)(stamps[i + 1] - stamps[i]));
	line[length++] = '\n';
	check(write(1, line, length) == length, "write");
}

static void nothing(int signal)
{
	(void)signal;
}

static void *run(void *argument)
{
	struct vcpu *vcpu = argument;

	while (!vcpu->run->immediate_exit)
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0 && errno != EINTR && errno != EAGAIN)
			check(0, "KVM_RUN");
	vcpu->stopped = 1;
	return 0;
}

static void start_vcpus(void)
{
	struct sigaction action = { .sa_handler = nothing };
	int i;

	sigaction(SIGUSR1, &action, 0);
	for (i = 0; i < cpus; i++)
		check(pthread_create(&vcpus[i].thread, 0, run, &vcpus[i]) == 0, "pthread_create");
}

static void stop_vcpus(void)
{
	int i;

	for (i = 0; i < cpus; i++) {
		vcpus[i].run->immediate_exit = 1;
		pthread_kill(vcpus[i].thread, SIGUSR1);
	}
	for (i = 0; i < cpus; i++)
		while (!vcpus[i].stopped)
			pthread_kill(vcpus[i].thread, SIGUSR1);
}

/* Shares the address space, so that exec need not tear it down; killed by the next program. */
static int helper(void *argument)
{
	(void)argument;
	sleep(30);
	return 0;
}

static pid_t start_helper(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = clone(helper, stack + sizeof stack, CLONE_VM | SIGCHLD, 0);

	check(pid > 0, "clone");
	return pid;
}

static void update(char **argv, int ram)
{
	char numbers[3][16];
	int state = memfd_create("floor-state", 0);

	sprintf(numbers[0], "%d", ram);
	sprintf(numbers[1], "%d", state);
	sprintf(numbers[2], "%d", start_helper());
	stamp(STOP);
	stop_vcpus();
	stamp(SAVE);
	save(state);
	stamp(EXEC);
	check(write(state, stamps, sizeof stamps) == sizeof stamps, "write");
	execl("/proc/self/exe", argv[0], argv[1], argv[2], argv[3], numbers[0], numbers[1], numbers[2], NULL);
	check(0, "exec");
}

int main(int argc, char **argv)
{
	uint64_t size;
	char line[16], *ram;
	int fd;

	stamp(MAKE);
	if (argc != 4 && argc != 7)
		return 2;
	size = strtoull(argv[1], 0, 10) << 20;
	cpus = atoi(argv[2]);
	fd = argc == 7 ? atoi(argv[4]) : memfd_create("floor-ram", 0);
	if (argc == 4)
		check(ftruncate(fd, size) == 0, "ftruncate");
	ram = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(ram != MAP_FAILED, "mmap");
	if (argc == 4 && atoi(argv[3]))
		check(madvise(ram, size, MADV_POPULATE_WRITE) == 0, "madvise");
	make_vm(ram, size);
	if (argc == 7) {
		stamp(LOAD);
		load(atoi(argv[5]));
		check(read(atoi(argv[5]), stamps, (EXEC + 1) * sizeof *stamps) > 0, "read");
		close(atoi(argv[5]));
		stamp(RUN);
	} else {
		boot(ram);
	}
	start_vcpus();
	stamp(PHASES);
	if (argc == 7) {
		kill(atoi(argv[6]), SIGKILL);
		waitpid(atoi(argv[6]), 0, 0);
	}
	tell();
	if (read(0, line, sizeof line) <= 0)
		return 0;
	update(argv, fd);
}
