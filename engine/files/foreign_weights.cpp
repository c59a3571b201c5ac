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

// JSON in UTF-8. The first bytes of a safetensors file are a length, most of them zero.
bool is_json_text(std::string_view head) {
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == head.npos || (head[first] != '{' && head[first] != '[')) return false;
  return std::all_of(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\r' || c == '\n';
  });
}

// What a server sends in place of a file.
bool is_html(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);  // the byte order mark of UTF-8
  head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  std::string lower(head.substr(0, 16));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return lower.starts_with("<!doctype html") || lower.starts_with("<html") || lower.starts_with("<head") ||
         lower.starts_with("<body");
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
  if (head.starts_with("\x93NUMPY"))
    return std::string("is a NumPy array (.npy); ") + use_safetensors + ", or save the arrays as one";
  if (is_html(head))
    return std::string(
               "is an HTML page, as servers send it in place of a file; download the file again, and ") +
           use_safetensors;
  if (head.starts_with("\xFF\xD8\xFF")) return std::string("is a JPEG picture; ") + use_safetensors;
  if (head.starts_with("\x89PNG\r\n\x1a\n")) return std::string("is a PNG picture; ") + use_safetensors;
  if (head.starts_with("\x89KPACK\r\n"))
    return std::string("is a pack of images of Kindred's; ") + use_safetensors;
  if (is_json_text(head)) return std::string("is JSON text; ") + use_safetensors;
  return "";
}

}  // namespace kindred
