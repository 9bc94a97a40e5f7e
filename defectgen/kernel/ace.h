// Sums over all sites, batch by batch, at one width of registers: kernel.c and wide.c include this, the latter for eight lanes.
#ifndef DEFECTGEN_ACE_H
#define DEFECTGEN_ACE_H

#include "energy.h"
#include "parallel.h"
#include "rows.h"

typedef struct {
  const Model* model;
  const Stencils* in;
  Batches batches;
  int order;  // of derivatives
  int64_t vectors;
  const double* dg;
  double *value, *out, *virial;  // virial: of each batch, or NULL
  char* parts;                   // of each thread, of size `each`
  size_t each;
} Sites;

static void place_sites(Claim* claimed, const Sites* job, Batch* batch, Work* work) {
  claim_batch(claimed, &job->model->functions, job->in, job->order, batch);
  claim_work(claimed, job->model, job->in, job->order, work);
}

static void share_of_sites(const void* given, int share, int shares) {
  const Sites* job = given;
  Batch batch;
  Work work;
  Claim claimed = {job->parts + share * job->each};
  place_sites(&claimed, job, &batch, &work);
  for (int64_t b = begin_of(job->batches.count, share, shares); b < begin_of(job->batches.count, share + 1, shares); b++) {
    take(&job->batches, b, &batch);
    // all sites of a batch: its part of the results is written by no other
    for (int i = 0; i < LANES; i++)
      for (int64_t vector = 0; vector < job->vectors && batch.site[i] >= 0; vector++)
        memset(job->out + 3 * job->in->slots * (vector * job->in->sites + batch.site[i]), 0, 3 * job->in->slots * sizeof(double));
    if (job->order == 1)
      energy_gradient(job->model, job->in, &batch, &work, job->value, job->out, job->virial ? job->virial + 9 * b : NULL);
    else
      hessian_products(job->model, job->in, &batch, &work, job->vectors, job->dg, job->out);
  }
}

// What threads give does not depend on their number: no two write to the same place, and batches are added up in their order.
static int over_sites(Sites* job, int threads, double* virial) {
  const int species = job->model->functions.species, shares = threads_for(job->in->sites, threads);
  Batch batch;
  Work work;
  Claim part = {0};
  place_sites(&part, job, &batch, &work);
  job->each = part.used;
  double* moments = NULL;
  for (int placed = 0; placed < 2; placed++) {
    Claim claimed = {placed ? arena : NULL};
    claim_batches(&claimed, job->in->sites, species, &job->batches);
    if (virial) moments = claim(&claimed, 9 * (job->in->sites / LANES + species), sizeof(double));
    job->parts = claim(&claimed, shares, job->each);
    if (!placed && !reserve(claimed.used)) return 0;
  }
  divide(job->in->centre, job->in->sites, species, &job->batches);
  if (virial) memset(moments, 0, 9 * job->batches.count * sizeof(double));
  job->virial = moments;
  in_shares(share_of_sites, job, shares);
  if (virial)
    for (int64_t b = 0; b < job->batches.count; b++)
      for (int x = 0; x < 9; x++) virial[x] += moments[9 * b + x];
  return 1;
}

static int gradient(const Model* model, const Stencils* in, int threads, double* value, double* out, double* virial) {
  Sites job = {.model = model, .in = in, .order = 1, .vectors = 1, .value = value, .out = out};
  return over_sites(&job, threads, virial);
}

static int products(const Model* model, const Stencils* in, int threads, int64_t vectors, const double* dg, double* out) {
  Sites job = {.model = model, .in = in, .order = 2, .vectors = vectors, .dg = dg, .out = out};
  return over_sites(&job, threads, NULL);
}

// ---- design rows: neighbours of sites of two threads meet in the rows of one atom, so that each but the first has its own
typedef struct {
  const Basis* basis;
  const Stencils* in;
  const int32_t* index;
  Batches batches;
  double *total, *forces, *virial;  // results, where the first thread adds
  double* others;                   // of each other thread: all three, one after another
  size_t of_forces, size;           // numbers of `forces` that are not zero, and of all three
  char* parts;
  size_t each;
} Rows;

static void place_rows(Claim* claimed, const Rows* job, Batch* batch, RowWork* work) {
  claim_batch(claimed, &job->basis->functions, job->in, 1, batch);
  claim_rows(claimed, job->basis, job->in, work);
}

static void share_of_rows(const void* given, int share, int shares) {
  const Rows* job = given;
  Batch batch;
  RowWork work;
  Claim claimed = {job->parts + share * job->each};
  place_rows(&claimed, job, &batch, &work);
  const size_t channels = job->basis->channels;
  memset(work.nowhere, 0, channels * sizeof(double));
  double *total = job->total, *forces = job->forces, *virial = job->virial;
  if (share > 0) {
    forces = job->others + (share - 1) * job->size, total = forces + job->of_forces, virial = total + channels;
    memset(forces, 0, job->size * sizeof(double));
  }
  for (int64_t b = begin_of(job->batches.count, share, shares); b < begin_of(job->batches.count, share + 1, shares); b++) {
    take(&job->batches, b, &batch);
    rows_of_batch(job->basis, job->in, job->index, &batch, &work, total, forces, virial);
  }
}

// A part of the results: what the threads found, in their order.
static void add_rows(const void* given, int share, int shares) {
  const Rows* job = given;
  const size_t channels = job->basis->channels;
  const int64_t from = begin_of(job->of_forces, share, shares), to = begin_of(job->of_forces, share + 1, shares);
  for (int k = 0; k + 1 < shares; k++) {
    const double *forces = job->others + k * job->size, *total = forces + job->of_forces, *virial = total + channels;
    for (int64_t i = from; i < to; i++) job->forces[i] += forces[i];
    if (share > 0) continue;
    for (size_t i = 0; i < channels; i++) job->total[i] += total[i];
    for (size_t i = 0; i < 9 * channels; i++) job->virial[i] += virial[i];
  }
}

static int rows(const Basis* basis, const Stencils* in, int threads, const int32_t* index, int64_t live, double* total,
                double* forces, double* virial) {
  const size_t channels = basis->channels, of_forces = 3 * channels * live;
  const int shares = threads_for(live, threads);
  Rows job = {.basis = basis, .in = in, .index = index, .total = total, .forces = forces, .virial = virial,
              .of_forces = of_forces, .size = of_forces + 10 * channels};
  memset(total, 0, channels * sizeof(double));
  memset(virial, 0, 9 * channels * sizeof(double));
  memset(forces, 0, 3 * channels * in->sites * sizeof(double));
  Batch batch;
  RowWork work;
  Claim part = {0};
  place_rows(&part, &job, &batch, &work);
  job.each = part.used;
  for (int placed = 0; placed < 2; placed++) {
    Claim claimed = {placed ? arena : NULL};
    claim_batches(&claimed, live, basis->functions.species, &job.batches);
    job.parts = claim(&claimed, shares, job.each);
    if (!placed && !reserve(claimed.used)) return 0;
  }
  if (shares > 1 && !(job.others = malloc((shares - 1) * job.size * sizeof(double)))) return 0;
  divide(in->centre, live, basis->functions.species, &job.batches);
  in_shares(share_of_rows, &job, shares);
  if (shares > 1) in_shares(add_rows, &job, shares);
  free(job.others);
  return 1;
}

static const Ace at_this_width = {gradient, products, rows};

#endif
