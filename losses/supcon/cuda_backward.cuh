// Selects SupCon's backward kernel on a GPU. Only the CUDA files of this folder include this header.
#pragma once

#include <kindred/losses/supcon/cuda_sweep.cuh>

namespace kindred::supcon_tiles {

// Parameters: rows, columns, pairs, area, room, chunks of D, d_rows, parts (cuda_backward_kernel.cuh).
using BackwardKernel = void (*)(Rows, Rows, Pairs, Area, Room, unsigned, float*, float*);

constexpr int backward_places = Stages<1>::kept_places;  // slices of columns

// The instances of this template take most of the compile time of this folder. So they are split over two files
// that compile in parallel: cuda_backward_labels.cu (false) and cuda_backward_general.cu (true).
template <bool general>
BackwardKernel backward_kernel_of(const SupConFormula& formula);

}  // namespace kindred::supcon_tiles
