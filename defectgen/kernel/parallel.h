// Work cut into shares, one a thread. Threads live for one call: nothing spins, and nothing has to survive a fork.
#ifndef DEFECTGEN_PARALLEL_H
#define DEFECTGEN_PARALLEL_H

#include <stdlib.h>

enum { MOST_THREADS = 64 };

typedef void (*Share)(const void* job, int share, int shares);

#if defined(ONE_THREAD) || defined(_WIN32)
static void in_shares(Share work, const void* job, int shares) {
  for (int k = 0; k < shares; k++) work(job, k, shares);
}
#else
#include <pthread.h>

typedef struct {
  Share work;
  const void* job;
  int share, shares;
} Order;

static void* carry_out(void* order) {
  const Order* o = order;
  o->work(o->job, o->share, o->shares);
  return NULL;
}

// The caller does the first share, and those for which there is no thread.
static void in_shares(Share work, const void* job, int shares) {
  pthread_t thread[MOST_THREADS];
  Order order[MOST_THREADS];
  int started[MOST_THREADS];
  for (int k = 1; k < shares; k++) {
    order[k] = (Order){work, job, k, shares};
    started[k] = pthread_create(&thread[k], NULL, carry_out, &order[k]) == 0;
  }
  work(job, 0, shares);
  for (int k = 1; k < shares; k++)
    if (started[k])
      pthread_join(thread[k], NULL);
    else
      work(job, k, shares);
}
#endif

// Threads for so many sites: starting one takes as long as a few of them.
static int threads_for(int64_t sites, int threads) {
  enum { WORTH = 24 };
  const int64_t most = sites / WORTH;
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  return most < 1 ? 1 : most < threads ? (int)most : threads;
}

static int64_t begin_of(int64_t count, int share, int shares) { return count * share / shares; }

#endif
