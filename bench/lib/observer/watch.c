/*
 * The observer's loop: reads the counts again and again, and logs each time that one stood still. Compiled by Bun's own C
 * compiler, so it includes no headers and needs none. The layout of the log is that of log.ts.
 */
typedef unsigned int u32;
typedef long long i64;

struct timespec { long sec, nsec; };
int clock_gettime(int clock, struct timespec *time);
int nanosleep(const struct timespec *time, struct timespec *rest);
int sched_setscheduler(int pid, int policy, const int *priority);

struct header {
	volatile u32 stop, ready, records, lost;
	u32 fifo, cpus;
	volatile i64 samples, late, longest_gap, began, ended;
};

struct record {
	u32 cpu, value;
	i64 before, first, last, after;
};

struct state {
	u32 value;
	i64 before, first;
};

enum { MAX_CPUS = 64, CLOCK_MONOTONIC = 1, SCHED_FIFO = 1 };

static i64 now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.sec * 1000000000ll + t.nsec;
}

/* From `first` to `last` the count surely stood still; before `before` and after `after` it surely did not. */
static void append(struct header *log, struct record *records, u32 capacity, int cpu, struct state *s, i64 last, i64 after)
{
	struct record *r = &records[log->records];
	if (log->records >= capacity) {
		log->lost++;
		return;
	}
	r->cpu = cpu;
	r->value = s->value;
	r->before = s->before;
	r->first = s->first;
	r->last = last;
	r->after = after;
	log->records++;
}

/* counts: the first vCPU's count; the others follow every `stride` bytes. Times are in ns. */
void watch(const volatile char *counts, int cpus, int stride, struct header *log, struct record *records,
	   u32 capacity, i64 threshold, i64 sleep, i64 late)
{
	struct state states[MAX_CPUS];
	u32 values[MAX_CPUS];
	struct timespec pause;
	int priority = 50, i; /* before the VMM's threads, which may be real-time ones as well */
	/* before and after the reading of a sample, and before that of the previous one */
	i64 t0, t1, last;

	pause.sec = 0;
	pause.nsec = sleep;
	log->fifo = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
	log->cpus = cpus;
	last = now();
	for (i = 0; i < cpus; i++) {
		states[i].value = *(const volatile u32 *)(counts + i * stride);
		states[i].before = states[i].first = last;
	}
	log->began = last;
	log->ready = 1;
	while (!log->stop) {
		nanosleep(&pause, 0);
		t0 = now();
		for (i = 0; i < cpus; i++)
			values[i] = *(const volatile u32 *)(counts + i * stride);
		t1 = now();
		for (i = 0; i < cpus; i++) {
			struct state *s = &states[i];
			if (values[i] == s->value)
				continue;
			if (last > s->first && (t1 + last) - (s->first + s->before) >= 2 * threshold)
				append(log, records, capacity, i, s, last, t1);
			s->value = values[i];
			s->before = last;
			s->first = t1;
		}
		if (t0 - last > late)
			log->late++;
		if (t0 - last > log->longest_gap)
			log->longest_gap = t0 - last;
		log->samples++;
		last = t0;
	}
	log->ended = now();
}
