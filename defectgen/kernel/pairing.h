// Bonds from a neighbour search, put into a rectangle of (atoms, slots) in the order of atom, neighbour and image, each with the
// place of its reverse. Counting sorts, so that the time grows with the number of bonds.
#ifndef DEFECTGEN_PAIRING_H
#define DEFECTGEN_PAIRING_H

#include <stdint.h>
#include <stdlib.h>

static int image_after(const int32_t* a, const int32_t* b) {
  for (int x = 2; x >= 0; x--)
    if (a[x] != b[x]) return a[x] > b[x];
  return 0;
}

// `order`: places ordered by key, in the order of `from` where keys agree; `next`: where the bonds of each key begin.
static void sort_by(int64_t count, const uint64_t* key, const int64_t* from, int64_t* next, int64_t* order) {
  for (int64_t b = 0; b < count; b++) {
    const int64_t bond = from ? from[b] : b;
    order[next[key[bond]]++] = bond;
  }
}

static void starts(int64_t atoms, int64_t count, const uint64_t* key, int64_t* next) {
  for (int64_t a = 0; a <= atoms; a++) next[a] = 0;
  for (int64_t b = 0; b < count; b++) next[key[b] + 1]++;
  for (int64_t a = 0; a < atoms; a++) next[a + 1] += next[a];
}

// 1 if every bond has a reverse, 0 if one has none, -1 without memory. The rectangle holds what an empty slot is before.
int defectgen_pairing(int64_t atoms, int64_t count, int64_t slots, const uint64_t* first, const uint64_t* second,
                      const int32_t* image, int32_t* index, int32_t* shift, uint8_t* mask, int64_t* reverse) {
  int64_t* work = malloc(((size_t)2 * count + (size_t)2 * (atoms + 1)) * sizeof(int64_t));
  if (!work) return -1;
  int64_t *one = work, *order = work + count, *next = order + count, *met = next + atoms + 1;
  starts(atoms, count, second, next);
  sort_by(count, second, NULL, next, one);
  starts(atoms, count, first, next);
  sort_by(count, first, one, next, order);
  starts(atoms, count, first, next);
  int found = 1;
  for (int64_t a = 0; a <= atoms; a++) met[a] = a < atoms ? next[a] : 0;  // how far the bonds of an atom are matched
  for (int64_t b = 0; b < count;) {  // all images of one pair at a time
    const uint64_t i = first[order[b]], j = second[order[b]];
    int64_t end = b;
    for (; end < count && first[order[end]] == i && second[order[end]] == j; end++) {
      const int64_t bond = order[end];
      int64_t at = end;
      for (; at > b && image_after(image + 3 * order[at - 1], image + 3 * bond); at--) order[at] = order[at - 1];
      order[at] = bond;
    }
    b = end;
  }
  for (int64_t b = 0; b < count && found;) {
    const uint64_t i = first[order[b]], j = second[order[b]];
    int64_t images = 1;
    while (b + images < count && first[order[b + images]] == i && second[order[b + images]] == j) images++;
    for (int64_t n = 0; n < images && found; n++) {
      const int64_t bond = order[b + n], place = i * slots + (b + n - next[i]), other = met[j] + images - 1 - n;
      if (other >= next[j + 1] || second[order[other]] != i) {
        found = 0;
        break;
      }
      for (int x = 0; x < 3; x++) {
        shift[3 * place + x] = image[3 * bond + x];
        if (image[3 * bond + x] != -image[3 * order[other] + x]) found = 0;
      }
      index[place] = (int32_t)j, mask[place] = 1, reverse[place] = j * slots + (other - next[j]);
    }
    met[j] += images;
    b += images;
  }
  free(work);
  return found;
}

#endif
