// The handlers that XLA calls, see defectgen/kernel/__init__.py: read the buffers, go through the sites batch by batch.
#include "ace.h"
#include "eam.h"
#include "pairing.h"
#include "stillinger_weber.h"
#include "sums.h"
#include "xla.h"

// ---- reading: buffers in the order of defectgen/ace/program.py
enum { SIZES, NUMBERS, RECURSION, PLACE, WIDTH, PARENT, FACTOR };
enum { START = FACTOR + 1, OTHER, WEIGHT, ONE_BODY };
enum { ENTRIES = FACTOR + 1, VARIABLE, TERM, COLUMN, USED, OWNED, SOURCE, CHANNEL, COEFFICIENT, PART };

static const void* content(const XLA_FFI_CallFrame* frame, int k) { return argument(frame, k)->data; }

static Functions read_functions(const void* const* table) {
  const int32_t* sizes = table[SIZES];
  const double* numbers = table[NUMBERS];
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
                .recursion = table[RECURSION]},
      .species = sizes[6],
      .variables = sizes[7],
      .r0 = numbers + 1,
      .place = table[PLACE],
      .width = table[WIDTH],
  };
}

static Model read_model(const void* const* table, int64_t nodes) {
  const Functions functions = read_functions(table);
  return (Model){.functions = functions,
                 .graph = {.nodes = (int)nodes,
                           .factors = functions.variables,
                           .parent = table[PARENT],
                           .factor = table[FACTOR],
                           .start = table[START],
                           .other = table[OTHER]},
                 .weight = table[WEIGHT],
                 .one_body = table[ONE_BODY]};
}

static Model model_of(const XLA_FFI_CallFrame* frame, int first) {
  const void* table[ONE_BODY + 1];
  for (int k = 0; k <= ONE_BODY; k++) table[k] = content(frame, first + k);
  return read_model(table, argument(frame, first + PARENT)->dims[0]);
}

static Basis read_basis(const XLA_FFI_CallFrame* frame, int first, int channels) {
  const void* table[WIDTH + 1];
  for (int k = 0; k <= WIDTH; k++) table[k] = content(frame, first + k);
  return (Basis){.functions = read_functions(table),
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
  return (Stencils){g->dims[0], g->dims[1], g->data, content(frame, 1), content(frame, 2), NULL};
}

// ---- how wide, and by how many threads
static int threads_in_use = 1, threads_for_rows = 1, widest = 8;

void defectgen_use_threads(int threads, int for_rows) { threads_in_use = threads, threads_for_rows = for_rows; }

// For tests: no more lanes than these.
void defectgen_use_lanes(int lanes) { widest = lanes; }

static const Ace* ace(void) {
  const Ace* wide = widest < 8 ? NULL : defectgen_ace_wide();
  return wide ? wide : &at_this_width;
}

// ---- (g, centre, neighbour, model) -> (values, dV/dg)
XLA_FFI_Error* defectgen_ace_gradient(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const Model model = model_of(frame, 3);
  const int done = ace()->gradient(&model, &in, threads_in_use, result(frame, 0)->data, result(frame, 1)->data, NULL);
  return done ? NULL : out_of_memory(frame);
}

// ---- (g, centre, neighbour, dg of every vector, model) -> V'' dg of every vector
XLA_FFI_Error* defectgen_ace_hessian_products(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const XLA_FFI_Buffer* dg = argument(frame, 3);
  const Model model = model_of(frame, 4);
  const int done = ace()->products(&model, &in, threads_in_use, dg->dims[0], dg->data, result(frame, 0)->data);
  return done ? NULL : out_of_memory(frame);
}

// ---- (g, centre, neighbour, index, number of live sites, basis) -> (energies, forces, virial) of all sites together
XLA_FFI_Error* defectgen_ace_rows(XLA_FFI_CallFrame* frame) {
  if (asks_for_metadata(frame)) return tell_metadata(frame);
  const Stencils in = read_stencils(frame);
  const int64_t live = *(const int64_t*)content(frame, 4);
  const Basis basis = read_basis(frame, 5, (int)result(frame, 0)->dims[0]);
  const int done = ace()->rows(&basis, &in, threads_for_rows, content(frame, 3), live, result(frame, 0)->data,
                               result(frame, 1)->data, result(frame, 2)->data);
  return done ? NULL : out_of_memory(frame);
}

// ---- called from Python, not by XLA: energies, forces and virial of a linear ACE potential in a cell
typedef struct {
  const Cell* cell;
  const int64_t* reverse;
  const double* p;
  double* force;
} Bonds;

// Every live atom takes what its own bonds and their reverses give, in the order of the list, whatever thread does it. There is
// no dV/dg of the sites beyond the live ones.
static void share_of_forces(const void* given, int share, int shares) {
  const Bonds* job = given;
  const Cell* cell = job->cell;
  static const double none[3] = {0.0, 0.0, 0.0};
  const int64_t end = cell->live * cell->slots;
  for (int64_t i = begin_of(cell->live, share, shares); i < begin_of(cell->live, share + 1, shares); i++) {
    double sum[3] = {0.0, 0.0, 0.0};
    for (int64_t at = i * cell->slots; at < (i + 1) * cell->slots; at++) {
      if (!cell->mask[at]) continue;
      const double* own = job->p + 3 * at;
      const double* back = job->reverse[at] < end ? job->p + 3 * job->reverse[at] : none;
      for (int x = 0; x < 3; x++) sum[x] += own[x] - back[x];
    }
    for (int x = 0; x < 3; x++) job->force[3 * i + x] = sum[x];
  }
}

// dV/dg of all bonds of cells up to some thousand atoms, kept from call to call.
enum { KEPT = 1 << 24 };
static _Thread_local double* slopes = NULL;
static _Thread_local size_t slopes_size = 0;

static double* room_for_slopes(size_t bytes) {
  if (bytes < 64) bytes = 64;  // no slopes at all are no lack of memory
  if (bytes <= slopes_size) return slopes;
  free(slopes);
  slopes = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  slopes_size = slopes ? bytes : 0;
  return slopes;
}

static void give_back_slopes(void) {
  if (slopes_size <= KEPT) return;
  free(slopes);
  slopes = NULL, slopes_size = 0;
}

// `table`: the arrays of the potential, of which `parent` has so many nodes.
int defectgen_ace(int64_t rows, int64_t slots, int64_t live, int64_t nodes, const double* x, const double* box,
                  const int32_t* index, const int32_t* shift, const uint8_t* mask, const int64_t* kind, const int64_t* reverse,
                  const void* const* table, double* energy, double* force, double* virial) {
  const Cell cell = {rows, slots, live, x, box, index, shift, mask, kind};
  const Model model = read_model(table, nodes);
  const Stencils in = {live, slots, NULL, kind, NULL, &cell};
  double* p = room_for_slopes(3 * live * slots * sizeof(double));
  if (!p || !ace()->gradient(&model, &in, threads_in_use, energy, p, virial)) return 0;
  const Bonds bonds = {&cell, reverse, p, force};
  in_shares(share_of_forces, &bonds, threads_for(live / 16, threads_in_use));
  give_back_slopes();
  return 1;
}

// Hessian products of the same with every vector, (vectors, rows, 3); `out` is zero before. Only the first `live` sites count,
// and what they give to atoms is added in the order of the list.
int defectgen_ace_products(int64_t rows, int64_t slots, int64_t live, int64_t nodes, int64_t vectors, const double* x,
                           const double* box, const int32_t* index, const int32_t* shift, const uint8_t* mask,
                           const int64_t* kind, const void* const* table, const double* v, double* out) {
  const Cell cell = {rows, slots, live, x, box, index, shift, mask, kind};
  const Model model = read_model(table, nodes);
  const Stencils in = {live, slots, NULL, kind, NULL, &cell};
  const int64_t bonds = live * slots;
  double* dg = room_for_slopes(6 * vectors * bonds * sizeof(double));
  if (!dg) return 0;
  double* p = dg + 3 * vectors * bonds;
  for (int64_t vector = 0; vector < vectors; vector++)
    for (int64_t i = 0; i < live; i++)
      for (int64_t at = i * slots; at < (i + 1) * slots; at++)
        for (int a = 0; a < 3; a++)
          dg[3 * (vector * bonds + at) + a] =
              mask[at] ? v[3 * (vector * rows + index[at]) + a] - v[3 * (vector * rows + i) + a] : 0.0;
  if (!ace()->products(&model, &in, threads_in_use, vectors, dg, p)) return 0;
  for (int64_t vector = 0; vector < vectors; vector++, out += 3 * rows, p += 3 * bonds)
    for (int64_t i = 0; i < live; i++)
      for (int64_t at = i * slots; at < (i + 1) * slots; at++)
        for (int a = 0; a < 3 && mask[at]; a++) {
          out[3 * index[at] + a] += p[3 * at + a];
          out[3 * i + a] -= p[3 * at + a];
        }
  give_back_slopes();
  return 1;
}

// ---- out += H v; 0 if there is no memory for the work arrays
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
