// Files of weights that are no safetensors are named by what they are.
#include "../../errors.h"
#include "../temporary_folder.h"

#include <kindred/engine/files/safetensors.h>

namespace kindred {
namespace {

using test::code_of;
using test::error_of;

std::string zip_with(const std::string& name) {
  return std::string("PK\x03\x04\0\0\x08\x08\0\0", 10) + std::string(20, '\0') + name + std::string(2000, 'x') +
         "PK\x01\x02" + name;
}

TEST_CASE("safetensors: files of other programs are named by what they are, with what to do") {
  const TemporaryFolder folder;
  const struct {
    std::string bytes, says;
  } cases[] = {
      {zip_with("archive/data.pkl"), "is a file of PyTorch's (.pth, .pt)"},
      {zip_with("archive/data.pkl"), "scripts/convert_pth.py"},
      {"PK\x03\x04" + std::string(300000, 'x') + "archive/data.pkl", "is a file of PyTorch's (.pth, .pt)"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "is a file of PyTorch's (.pth, .pt)"},
      {std::string("\x80\x04\x95\0\0\0\0\0\0\0\0", 11), "is a pickle of Python's"},
      {zip_with("features.npy"), "is an .npz file of NumPy's"},
      {zip_with("photos/a.jpg"), "is a zip archive"},
      {"\x89HDF\r\n\x1a\n" + std::string(100, '\0'), "is an HDF5 file (.h5)"},
      {"\x08\x08\x12\x07pytorch\x1a\x03"
       "2.1",
       "is an ONNX graph"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"},
      {std::string("\x93NUMPY\x01\0v\0", 10) + "{'descr': '<f4'}", "is a NumPy array (.npy); give a .saf"},
      {"\n<!DOCTYPE HTML><title>404</title>", "is an HTML page"},
      {"\xFF\xD8\xFF\xE0" + std::string(100, 'x'), "is a JPEG picture"},
      {"\x89PNG\r\n\x1a\n" + std::string(100, 'x'), "is a PNG picture"},
      {"\x89KPACK\r\n" + std::string(100, '\0'), "is a pack of images of Kindred's"},
      {"{\"top1\": 0.5, \"top5\": 0.9}", "is JSON text"},
      {"{\"abcd\":{\"e\": 1}}", "is JSON text"},  // where a header would begin is its {
      {"[\n  1, 2, 3, 4\n]\n", "is JSON text"},
      {std::string(100, 'x'), "is no safetensors file: expected the length of a header"},
  };
  const std::filesystem::path path = folder / "weights.safetensors";  // the name says nothing
  for (const auto& c : cases) {
    CAPTURE(c.says);
    write_bytes(path, c.bytes);
    const auto open = [&] { SafetensorsFile{path}; };
    CHECK(code_of(open) == ExitCode::file);
    const std::string error = error_of(open);
    CAPTURE(error);
    CHECK(error.starts_with(path.string()));
    CHECK(error.find(c.says) != std::string::npos);
  }
}

TEST_CASE("safetensors: a folder is named as one") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { SafetensorsFile{folder.path}; }) ==
        folder.path.string() + " is not a file but a folder; give the path of a .safetensors file");
}

}  // namespace
}  // namespace kindred
