#include <kindred/engine/files/foreign_weights.h>
#include <kindred/engine/files/safetensors_header.h>

#include <algorithm>
#include <string_view>

namespace kindred {
namespace {

// A zip archive ends with the names in it: a few hundred, with about a hundred bytes for each.
constexpr std::uint64_t first_bytes = 512, last_bytes = std::uint64_t{1} << 18;

constexpr const char *pytorch =
                         "is a file of PyTorch's (.pth, .pt), a pickle, which could run code; convert it with "
                         "scripts/convert_pth.py, and give the .safetensors file that it writes",
                     *use_safetensors = "give a .safetensors file";

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// PyTorch's magic number, as the first value of a pickle; files before its version 1.6 begin with it.
bool is_old_pytorch(std::string_view head) {
  return head.starts_with("\x80") && has(head.substr(0, 16), "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
}

// The first field of a graph is its version, a small number; the second one is a text or the graph itself.
bool is_onnx(std::string_view head) {
  return head.size() > 3 && head[0] == '\x08' && head[1] > 0 && head[1] < 32 &&
         (head[2] == '\x12' || head[2] == '\x3a');
}

}  // namespace

std::string what_else_it_is(int file, const std::string& path, std::uint64_t bytes) {
  const auto part = [&](std::uint64_t begin, std::uint64_t end) {
    std::string text(static_cast<std::size_t>(end - begin), '\0');
    read_exactly(file, path, begin, text.data(), text.size());
    return text;
  };
  const std::string head = part(0, std::min(bytes, first_bytes));
  if (head.starts_with("PK\x03\x04")) {
    const std::string tail = part(bytes - std::min(bytes, last_bytes), bytes);
    if (has(head, "data.pkl") || has(tail, "data.pkl")) return pytorch;
    if (has(head, ".npy") || has(tail, ".npy"))
      return std::string("is an .npz file of NumPy's; ") + use_safetensors + ", or save its arrays as one";
    return std::string("is a zip archive; unpack it and ") + use_safetensors;
  }
  if (is_old_pytorch(head)) return pytorch;
  if (head.starts_with("\x80\x02") || head.starts_with("\x80\x03") || head.starts_with("\x80\x04") ||
      head.starts_with("\x80\x05"))
    return "is a pickle of Python's, which could run code; if PyTorch wrote it, convert it with "
           "scripts/convert_pth.py, and give the .safetensors file that it writes";
  if (head.starts_with("\x89HDF\r\n\x1a\n"))
    return std::string("is an HDF5 file (.h5), as Keras writes them; ") + use_safetensors;
  if (is_onnx(head)) return std::string("is an ONNX graph; ") + use_safetensors + " of its weights";
  if (head.starts_with("version https://git-lfs"))
    return "is a Git LFS pointer in place of the file; fetch the file with git lfs pull";
  return "";
}

}  // namespace kindred
