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

/* counts: the first vCPU's count; the others follow every `stride` bytes. Times are in ns. */
void watch(const volatile char *counts, int cpus, int stride, struct header *log, struct record *records,
	   u32 capacity, i64 threshold, i64 sleep, i64 late)
{
	struct state states[MAX_CPUS];
	struct timespec pause;
	int priority = 1, i;
	i64 last, t;

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
		for (i = 0; i < cpus; i++) {
			struct state *s = &states[i];
			u32 value = *(const volatile u32 *)(counts + i * stride);
			t = now();
			if (value == s->value)
				continue;
			/* between `first` and `last` it surely stood still; beyond `before` and `after` it surely did not */
			if (last > s->first && (t + last) - (s->first + s->before) >= 2 * threshold) {
				if (log->records < capacity) {
					struct record *r = &records[log->records];
					r->cpu = i;
					r->value = s->value;
					r->before = s->before;
					r->first = s->first;
					r->last = last;
					r->after = t;
					log->records++;
				} else {
					log->lost++;
				}
			}
			s->value = value;
			s->before = last;
			s->first = t;
		}
		t = now();
		if (t - last > late)
			log->late++;
		if (t - last > log->longest_gap)
			log->longest_gap = t - last;
		log->samples++;
		last = t;
	}
	log->ended = now();
}
