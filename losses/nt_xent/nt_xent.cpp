#include <kindred/losses/nt_xent/nt_xent.h>

namespace kindred {

Tensor nt_xent(const Tensor& features, const Tensor& image_indices, const NtXentOptions& options,
               SupConStatistics* statistics) {
  check(options.views >= 2, ExitCode::usage,
        "nt_xent: with {} view there are no positives, which are an image's other views; use at least 2",
        options.views);
  SupConOptions supcon_options;
  supcon_options.temperature = options.temperature;
  supcon_options.views = options.views;
  return supcon(features, simclr_labels(image_indices, options.views), supcon_options, statistics);
}

}  // namespace kindred
