// What the package hands over: bases and potentials as tables (defectgen/ace/program.py), and the surroundings of sites.
#ifndef DEFECTGEN_PROGRAM_H
#define DEFECTGEN_PROGRAM_H

#include "cell.h"

enum { MAX_L = 24 };  // highest angular momentum, see HIGHEST_L in __init__.py

typedef struct {
  int count;   // radial functions
  int padded;  // the same, up to a multiple of 4
  int envelope, inner, outer;
  int max_l;      // highest angular momentum
  int harmonics;  // (max_l + 1)^2
  int legendre;   // (max_l + 1)(max_l + 2)/2: place l(l+1)/2 + m of Q_l^m
  double cutoff;
  const double* recursion;  // (count - 1, 3): a, b, c of R_n+1 = (a t + b) R_n - c R_n-1
} Shape;

// One-particle functions of all species, as numbered variables: n runs fastest, four radial functions at a time.
typedef struct {
  Shape shape;
  int species;
  int variables;
  const double* r0;      // (species, species)
  const int32_t* place;  // (species, harmonics): variable of n = 0
  const int32_t* width;  // (species, max_l + 1): radial functions, a multiple of 4
} Functions;

typedef struct {
  int nodes, factors;
  const int32_t *parent, *factor;  // of each node; parents come before their children
  const int32_t* start;            // (nodes + 1): where the terms of each node begin
  const int32_t* other;            // factor of each term
} Graph;

typedef struct {
  Functions functions;
  Graph graph;
  const double* weight;    // (species, terms)
  const double* one_body;  // (species)
} Model;

typedef struct {
  Functions functions;
  int nodes;  // products of variables: node 0 is 1, every other one a parent times a factor
  const int32_t *parent, *factor;
  int count, entries, used_count;  // functions of a species, entries of D, variables in use
  int channels;                    // of the basis
  const int32_t* start;            // (count, species + 1): entries of D, those for variables of one species together
  const int32_t *variable, *term;  // of each entry: its variable and (entries + 1) its first term
  const int32_t* column;           // of each entry: the number of its variable among those in use
  const int32_t *used, *owned;     // (used, 2) lm and n of variables in use, and (species + 1) the first of each species
  const int32_t* source;           // of each term: its product
  const double* coefficient;
  const double* part;      // of each function: one over its order, see Euler
  const int32_t* channel;  // (species, count)
} Basis;

// The surroundings of sites: as vectors to their neighbours, or (g is NULL) as a cell with its neighbour list.
typedef struct {
  int64_t sites, slots;
  const double* g;
  const int64_t *centre, *neighbour;
  const Cell* cell;
} Stencils;

// Sums over sites at one width of registers, by so many threads; 0 if there is no memory for the work arrays.
typedef struct {
  // values (sites), dV/dg (sites, slots, 3), and unless it is NULL the sum of -dV/dg (x) g, (3, 3)
  int (*gradient)(const Model*, const Stencils*, int threads, double* value, double* out, double* virial);
  // V'' dg of every vector
  int (*products)(const Model*, const Stencils*, int threads, int64_t vectors, const double* dg, double* out);
  // energies (channels), forces (sites, 3, channels) and virial (3, 3, channels) of the first `live` sites
  int (*rows)(const Basis*, const Stencils*, int threads, const int32_t* index, int64_t live, double* total, double* forces,
              double* virial);
} Ace;

// With eight lanes; NULL on processors without them.
const Ace* defectgen_ace_wide(void);

#endif
