// The handlers that XLA calls, see defectgen/kernel/__init__.py: read the buffers, go through the sites batch by batch.
#include "eam.h"
#include "energy.h"
#include "pairing.h"
#include "rows.h"
#include "stillinger_weber.h"
#include "sums.h"
#include "xla.h"

// ---- reading: buffers in the order of defectgen/ace/program.py
enum { SIZES, NUMBERS, RECURSION, PLACE, WIDTH, PARENT, FACTOR };
enum { START = FACTOR + 1, OTHER, WEIGHT, ONE_BODY };
enum { ENTRIES = FACTOR + 1, VARIABLE, TERM, COLUMN, USED, OWNED, SOURCE, CHANNEL, COEFFICIENT, PART };

static const void* content(const XLA_FFI_CallFrame* frame, int k) { return argument(frame, k)->data; }

static Functions read_functions(const XLA_FFI_CallFrame* frame, int first) {
  const int32_t* sizes = content(frame, first + SIZES);
  const double* numbers = content(frame, first + NUMBERS);
  const int max_l = sizes[5];
  return (Functions){
      .shape = {.count = sizes[0],
                .padded = sizes[1],
                .envelope = sizes[2],
                .inner = sizes[3],
                .outer = sizes[4],
                .max_l = max_l,
                .harmonics = (max_l + 1) * (max_l + 1),
                .legendre = (max_l + 1) * (max_l + 2) / 2,
                .cutoff = numbers[0],
                .recursion = content(frame, first + RECURSION)},
      .species = sizes[6],
      .variables = sizes[7],
      .r0 = numbers + 1,
      .place = content(frame, first + PLACE),
      .width = content(frame, first + WIDTH),
  };
}

static Model read_model(const XLA_FFI_CallFrame* frame, int first) {
  const Functions functions = read_functions(frame, first);
  return (Model){.functions = functions,
                 .graph = {.nodes = (int)argument(frame, first + PARENT)->dims[0],
                           .factors = functions.variables,
                           .parent = content(frame, first + PARENT),
                           .factor = content(frame, first + FACTOR),
                           .start = content(frame, first + START),
                           .other = content(frame, first + OTHER)},
                 .weight = content(frame, first + WEIGHT),
                 .one_body = content(frame, first + ONE_BODY)};
}

static Basis read_basis(const XLA_FFI_CallFrame* frame, int first, int channels) {
  return (Basis){.functions = read_functions(frame, first),
                 .nodes = (int)argument(frame, first + PARENT)->dims[0],
                 .parent = content(frame, first + PARENT),
                 .factor = content(frame, first + FACTOR),
                 .count = (int)argument(frame, first + PART)->dims[0],
                 .entries = (int)argument(frame, first + VARIABLE)->dims[0],
                 .used_count = (int)argument(frame, first + USED)->dims[0],
                 .channels = channels,
                 .start = content(frame, first + ENTRIES),
                 .variable = content(frame, first + VARIABLE),
                 .term = content(frame, first + TERM),
                 .column = content(frame, first + COLUMN),
                 .used = content(frame, first + USED),
                 .owned = content(frame, first + OWNED),
                 .source = content(frame, first + SOURCE),
                 .coefficient = content(frame, first + COEFFICIENT),
                 .part = content(frame, first + PART),
                 .channel = content(frame, first + CHANNEL)};
}

static Stencils read_stencils(const XLA_FFI_CallFrame* frame) {
  const XLA_FFI_Buffer* g = argument(frame, 0);
  return (Stencils){g->dims[0], g->dims[1], g->data, content(frame, 1), content(frame, 2)};
}

static double* zeros(double* at, size_t count) { return memset(at, 0, count * sizeof(double)); }

// ---- (g, centre, neighbour, model) -> (values, dV/dg)
XLA_FFI_Error* defectgen_ace_gradient(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const Model model = read_model(frame, 3);
  double *value = result(frame, 0)->data, *out = zeros(result(frame, 1)->data, 3 * in.sites * in.slots);
  Batch batch;
  Work work;
  for (int placed = 0; placed < 2; placed++) {
    Claim claimed = {0};
    claim_batch(&claimed, &model.functions, &in, 1, &batch);
    claim_work(&claimed, &model, &in, 1, &work);
    if (!placed && !reserve(claimed.used)) return out_of_memory(frame);
  }
  for (int z = 0; z < model.functions.species; z++)
    for (int64_t next = 0; fill(&in, in.sites, z, &next, &batch) > 0;) energy_gradient(&model, &in, &batch, &work, value, out);
  return NULL;
}

// ---- (g, centre, neighbour, dg of every vector, model) -> V'' dg of every vector
XLA_FFI_Error* defectgen_ace_hessian_products(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const int64_t vectors = argument(frame, 3)->dims[0];
  const Model model = read_model(frame, 4);
  double* out = zeros(result(frame, 0)->data, 3 * vectors * in.sites * in.slots);
  Batch batch;
  Work work;
  for (int placed = 0; placed < 2; placed++) {
    Claim claimed = {0};
    claim_batch(&claimed, &model.functions, &in, 2, &batch);
    claim_work(&claimed, &model, &in, 2, &work);
    if (!placed && !reserve(claimed.used)) return out_of_memory(frame);
  }
  for (int z = 0; z < model.functions.species; z++)
    for (int64_t next = 0; fill(&in, in.sites, z, &next, &batch) > 0;)
      hessian_products(&model, &in, &batch, &work, vectors, content(frame, 3), out);
  return NULL;
}

// ---- (g, centre, neighbour, index, number of live sites, basis) -> (energies, forces, virial) of all sites together
XLA_FFI_Error* defectgen_ace_rows(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const int32_t* index = content(frame, 3);
  const int64_t live = *(const int64_t*)content(frame, 4);
  const size_t channels = result(frame, 0)->dims[0];
  const Basis basis = read_basis(frame, 5, (int)channels);
  double *total = zeros(result(frame, 0)->data, channels), *virial = zeros(result(frame, 2)->data, 9 * channels);
  double* forces = zeros(result(frame, 1)->data, 3 * channels * in.sites);
  Batch batch;
  RowWork work;
  for (int placed = 0; placed < 2; placed++) {
    Claim claimed = {0};
    claim_batch(&claimed, &basis.functions, &in, 1, &batch);
    claim_rows(&claimed, &basis, &in, &work);
    if (!placed && !reserve(claimed.used)) return out_of_memory(frame);
  }
  zeros(work.nowhere, 3 * channels);
  for (int z = 0; z < basis.functions.species; z++)
    for (int64_t next = 0; fill(&in, live, z, &next, &batch) > 0;)
      rows_of_batch(&basis, &in, index, &batch, &work, total, forces, virial);
  return NULL;
}

// ---- called from Python, not by XLA: out += H v; 0 if there is no memory for the work arrays
int defectgen_product_of_sums(int64_t sites, int64_t slots, int64_t sums, int64_t radial, const int32_t* index,
                              const double* factors, const double* curvature, const double* v, double* out) {
  if (!reserve(6 * slots * sizeof(double))) return 0;
  const Factors f = {sites, slots, sums, index, factors, curvature};
  (radial ? product_of_radial_sums : product_of_sums)(&f, v, out, (double*)arena, (double*)arena + 3 * slots);
  return 1;
}

static int room_for_neighbours(int64_t slots, double** work, int64_t** slot) {
  if (!reserve((10 + 1) * slots * 8)) return 0;
  *work = (double*)arena, *slot = (int64_t*)arena + 10 * slots;
  return 1;
}

// Energies, forces and virial, or with `factors` what products of sums need; all arrays are zero before.
int defectgen_eam(int64_t rows, int64_t slots, int64_t live, const double* x, const double* box, const int32_t* index,
                  const int32_t* shift, const uint8_t* mask, const int64_t* kind, const int64_t* sizes, const double* numbers,
                  const double* radial, const double* embedding, double* energy, double* force, double* virial,
                  double* factors, double* curvature) {
  const Eam eam = {sizes[0],   sizes[1],   sizes[2],   sizes[3],   sizes[4], numbers[0],
                   numbers[1], numbers[2], numbers[3], numbers[4], radial,   embedding};
  const Cell cell = {rows, slots, live, x, box, index, shift, mask, kind};
  const Sums out = {energy, force, virial};
  double* work;
  int64_t* slot;
  if (!room_for_neighbours(slots + eam.species, &work, &slot)) return 0;
  double* reach = work + 10 * slots;
  for (int64_t z = 0; z < eam.species; z++) reach[z] = eam.cutoff;
  eam_cell(&eam, &cell, reach, work, slot, &out, factors, curvature);
  return 1;
}

int defectgen_stillinger_weber(int64_t rows, int64_t slots, int64_t live, const double* x, const double* box,
                               const int32_t* index, const int32_t* shift, const uint8_t* mask, const int64_t* kind,
                               const int64_t* sizes, const double* pairs, const double* triplets, double* energy,
                               double* force, double* virial, double* factors, double* curvature) {
  const int64_t s = sizes[0], of_pairs = s * s;
  const StillingerWeber sw = {s,
                              pairs,
                              pairs + of_pairs,
                              pairs + 2 * of_pairs,
                              pairs + 3 * of_pairs,
                              pairs + 4 * of_pairs,
                              pairs + 5 * of_pairs,
                              pairs + 6 * of_pairs,
                              triplets,
                              triplets + of_pairs * s};
  const Cell cell = {rows, slots, live, x, box, index, shift, mask, kind};
  const Sums out = {energy, force, virial};
  double* work;
  int64_t* slot;
  if (!room_for_neighbours(slots, &work, &slot)) return 0;
  if (factors)
    stillinger_weber_factors(&sw, &cell, work, slot, factors, curvature);
  else
    stillinger_weber_cell(&sw, &cell, work, slot, &out);
  return 1;
}

const char* defectgen_sources(void) { return SOURCES; }
