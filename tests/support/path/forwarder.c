/*
 * A path with a rate, a delay, a queue and loss, for kernels without netem: carries packets between
 * two TUN devices.
 *
 *     forwarder TUN_A TUN_B BITS_PER_SECOND ONE_WAY_DELAY_US QUEUE_BYTES LOSS_PPM MTU SEED
 *
 * It makes both devices, prints "ready", and forwards until it is killed. The devices may then be
 * moved to network namespaces: the descriptors stay valid. Both directions have a link of their own,
 * of the same kind: a packet is lost at random before the queue, dropped where the queue's bytes are
 * exceeded, leaves the queue at the link's rate, and arrives the delay later. SEED makes the losses
 * of each direction repeatable.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Packets under way in one direction: at 1 Gb/s and 1500 bytes that is 390 ms. */
#define SLOTS 32768
/* Packets taken in before the clock is looked at again. */
#define BATCH 32

struct packet {
	uint64_t due_ns;
	uint32_t length;
	uint8_t *bytes;
};

struct direction {
	int from, to;
	uint64_t bits_per_second, delay_ns, queue_bytes, loss_ppm, random;
	uint32_t mtu;
	uint64_t free_at_ns;
	uint32_t first, count;
	struct packet *slots;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* xorshift64: good enough to lose packets by. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int open_tun(const char *name)
{
	struct ifreq request;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fail("/dev/net/tun");
	memset(&request, 0, sizeof request);
	request.ifr_flags = IFF_TUN | IFF_NO_PI;
	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		fail(name);
	return fd;
}

/* Hands over every packet that is due. */
static void deliver(struct direction *d, uint64_t now)
{
	while (d->count > 0 && d->slots[d->first].due_ns <= now) {
		struct packet *packet = &d->slots[d->first];
		/* A device that is down refuses the packet: it is lost, as on a real path. */
		if (write(d->to, packet->bytes, packet->length) < 0 && errno == EBADF)
			fail("write");
		d->first = (d->first + 1) % SLOTS;
		d->count--;
	}
}

/* Takes in what the sender has put on the device, up to a batch. */
static void take(struct direction *d)
{
	for (int i = 0; i < BATCH; i++) {
		uint8_t discarded[1];
		struct packet *packet = &d->slots[(d->first + d->count) % SLOTS];
		int full = d->count == SLOTS;
		ssize_t length = full ? read(d->from, discarded, 1) : read(d->from, packet->bytes, d->mtu);
		if (length < 0)
			return;
		uint64_t now = now_ns();
		if (full || (d->loss_ppm && next_random(&d->random) % 1000000 < d->loss_ppm))
			continue;
		uint64_t wait_ns = d->free_at_ns > now ? d->free_at_ns - now : 0;
		uint64_t backlog = wait_ns * (d->bits_per_second / 1000) / 8000000;
		if (backlog + (uint64_t)length > d->queue_bytes)
			continue;
		uint64_t takes_ns = (uint64_t)length * 8000000 / (d->bits_per_second / 1000);
		d->free_at_ns = now + wait_ns + takes_ns;
		packet->length = (uint32_t)length;
		packet->due_ns = d->free_at_ns + d->delay_ns;
		d->count++;
	}
}

static void *forward(void *argument)
{
	struct direction *d = argument;
	struct pollfd input = { .fd = d->from, .events = POLLIN };
	/* Timers of this thread fire when they are due and not when it is convenient. */
	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		uint64_t now = now_ns();
		deliver(d, now);
		struct timespec wait, *timeout = NULL;
		if (d->count > 0) {
			uint64_t left = d->slots[d->first].due_ns > now ? d->slots[d->first].due_ns - now : 0;
			wait.tv_sec = (time_t)(left / 1000000000u);
			wait.tv_nsec = (long)(left % 1000000000u);
			timeout = &wait;
		}
		if (ppoll(&input, 1, timeout, NULL) > 0)
			take(d);
	}
	return NULL;
}

static uint64_t argument(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno || *end || end == text) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	if (argc != 9) {
		fprintf(stderr, "usage: forwarder TUN_A TUN_B BITS_PER_SECOND DELAY_US QUEUE_BYTES "
				"LOSS_PPM MTU SEED\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct direction directions[2];
	memset(directions, 0, sizeof directions);
	int a = open_tun(argv[1]), b = open_tun(argv[2]);
	for (int i = 0; i < 2; i++) {
		struct direction *d = &directions[i];
		d->from = i ? b : a;
		d->to = i ? a : b;
		d->bits_per_second = argument(argv[3]);
		d->delay_ns = argument(argv[4]) * 1000;
		d->queue_bytes = argument(argv[5]);
		d->loss_ppm = argument(argv[6]);
		d->mtu = (uint32_t)argument(argv[7]);
		d->random = (argument(argv[8]) * 2 + (uint64_t)i) * 0x9e3779b97f4a7c15u | 1;
		if (d->bits_per_second < 1000 || d->mtu < 576 || d->mtu > 65535) {
			fprintf(stderr, "a rate of at least 1000 bits/s, an MTU of 576 to 65535\n");
			return 2;
		}
		d->slots = calloc(SLOTS, sizeof *d->slots);
		uint8_t *bytes = calloc(SLOTS, d->mtu);
		if (!d->slots || !bytes)
			fail("memory");
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			d->slots[slot].bytes = bytes + (size_t)slot * d->mtu;
	}
	puts("ready");
	fflush(stdout);
	pthread_t other;
	if (pthread_create(&other, NULL, forward, &directions[1]) != 0)
		fail("thread");
	forward(&directions[0]);
	return 0;
}
