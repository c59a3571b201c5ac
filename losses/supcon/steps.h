// The steps that SupCon's functions are made of, on one process (supcon.cpp) and on many (shared.cpp). Only
// this folder includes this header.
#pragma once

#include <kindred/engine/tape.h>
#include <kindred/losses/supcon/kernels.h>

namespace kindred {

extern const Operation supcon_operation;

namespace supcon_steps {

// ---- what is refused, each with a line that says why

void check_options(const SupConOptions& options);
// The options too.
void check_features(const Tensor& features, const SupConOptions& options);
void check_labels(const Tensor& labels, const Tensor& features);
void check_mask(const Tensor& mask, std::int64_t images);
// Rows that are compared with the anchors and are not those of the batch.
void check_contrasts(const Tensor& anchors, const Tensor& contrasts, const Tensor& contrast_labels,
                     const SupConOptions& options);

// ---- the passes

// What the loss is multiplied by.
double scale_of(const SupConOptions& options);

SupConFormula formula_of(const SupConOptions& options);

// The first of these rows are anchors.
std::int64_t anchors_of(std::int64_t rows, const SupConOptions& options);

// Returns L_i of the anchors [A], and allocates and fills what the other passes need of `rows`: terms, lse,
// positives and negatives. If `columns` is null, they are the rows themselves.
Tensor anchor_losses(SupConRows& rows, const SupConRows* columns, const SupConFormula& formula,
                     const SupConOptions& options);

struct Mean {
  Tensor loss, weight;  // [] and [], see SupConKernels::mean
};
Mean mean_of(const Tensor& losses, const Tensor& positives, const SupConOptions& options);

// Fills the gradient, which may have any type, from G_ij, G_ji or both: a side with terms consists of anchors.
void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output gradient);

}  // namespace supcon_steps
}  // namespace kindred
