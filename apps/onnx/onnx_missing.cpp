// Replaces onnx_file.cpp if libonnx was not found when the build was configured.
#include <kindred/apps/onnx/onnx_file.h>
#include <kindred/engine/error.h>

namespace kindred {

void require_onnx() {
  fail(ExitCode::usage,
       "--format onnx: this build has no libonnx; install libonnx-dev (scripts/install_packages.sh), then "
       "configure "
       "and build again");
}

void write_onnx(const std::filesystem::path&, const LoadedModel&, bool) {
  require_onnx();
}

}  // namespace kindred
