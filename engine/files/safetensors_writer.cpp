#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/engine/files/safetensors_checksum.h>
#include <kindred/engine/files/safetensors_header.h>

#include <algorithm>
#include <utility>

namespace kindred {
namespace {

const char* file_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::f16:
      return "F16";
    case DType::i32:
      return "I32";
    case DType::u8:
      return "U8";
  }
  fail(ExitCode::internal, "safetensors has no type {}", name(dtype));
}

std::vector<std::int64_t> extents_of(const Shape& shape) {
  std::vector<std::int64_t> extents;
  for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  return extents;
}

std::uint64_t bytes_of_shape(const char* dtype, const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = safetensors_element_bytes(dtype);
  for (const std::int64_t extent : shape) bytes *= static_cast<std::uint64_t>(extent);
  return bytes;
}

// The text as a JSON string, in quotes.
std::string quoted(const std::string& text) {
  const auto string = json_string(text);
  check(string.has_value(), ExitCode::internal, "a name or a metadata text to be saved is not UTF-8");
  return *string;
}

}  // namespace

void SafetensorsWriter::add_item(Item item) {
  check(item.name != "__metadata__", ExitCode::internal, "a tensor cannot be called __metadata__");
  const std::string name = item.name;
  check(items_.emplace(name, std::move(item)).second, ExitCode::internal,
        "two tensors to be saved are called {}", name);
}

void SafetensorsWriter::add(const std::string& name, const Tensor& tensor) {
  add_item({name, file_type(tensor.dtype()), extents_of(tensor.shape()), [tensor] { return tensor; }, {}});
}

void SafetensorsWriter::add(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                            std::function<Tensor()> make) {
  add_item({name, file_type(dtype), std::move(shape), std::move(make), {}});
}

void SafetensorsWriter::add_i64(const std::string& name, std::vector<std::int64_t> shape,
                                std::vector<std::int64_t> values) {
  check(bytes_of_shape("I64", shape) == values.size() * sizeof(std::int64_t), ExitCode::internal,
        "{} values for {} do not fill its shape", values.size(), name);
  add_item({name, "I64", std::move(shape), nullptr, std::move(values)});
}

// `checksum` is empty if none was requested.
std::string SafetensorsWriter::header_of(const std::vector<const Item*>& items,
                                         const std::string& checksum) const {
  std::map<std::string, std::string> metadata = metadata_;
  if (!checksum.empty()) metadata[safetensors_checksum_key] = checksum;
  std::string header;
  for (const auto& [key, text] : metadata)
    header += fmt::format("{}{}:{}", header.empty() ? "{\"__metadata__\":{" : ",", quoted(key), quoted(text));
  header += header.empty() ? "{" : "}";
  std::uint64_t end = 0;
  for (const Item* item : items) {
    const std::uint64_t begin = end;
    end += bytes_of_shape(item->dtype, item->shape);
    header +=
        fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", header == "{" ? "" : ",",
                    quoted(item->name), item->dtype, joined(item->shape, ","), begin, end);
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data starts at a multiple of 8
  return header;
}

void SafetensorsWriter::write(const std::filesystem::path& path, FileOperations& files) const {
  // The order of the official library: by type, then by name (items_ is sorted by name).
  std::vector<const Item*> items;
  for (const auto& [name, item] : items_) items.push_back(&item);
  std::stable_sort(items.begin(), items.end(), [](const Item* a, const Item* b) {
    return safetensors_type_order(a->dtype) < safetensors_type_order(b->dtype);
  });

  // Calls take(bytes, count) for all data in order.
  const auto for_all_data = [&](auto&& take) {
    for (const Item* item : items) {
      if (!item->make) {
        take(item->integers.data(), item->integers.size() * sizeof(std::int64_t));
        continue;
      }
      Tensor tensor = item->make();
      if (!is_host(tensor.device())) tensor = tensor.to(Device::cpu, tensor.dtype());
      check(tensor.bytes() == bytes_of_shape(item->dtype, item->shape) &&
                file_type(tensor.dtype()) == std::string(item->dtype),
            ExitCode::internal, "{} was announced as {} of shape [{}] and is a {} of shape {}", item->name,
            item->dtype, joined(item->shape, ", "), kindred::name(tensor.dtype()), tensor.shape());
      take(tensor.raw(), tensor.bytes());
    }
  };

  std::string checksum;
  if (checksum_) {
    SafetensorsChecksum sum;
    const std::string header = header_of(items, SafetensorsChecksum::placeholder());
    sum.add(header.data(), header.size());
    for_all_data([&](const void* data, std::size_t bytes) { sum.add(data, bytes); });
    checksum = sum.text();
  }
  const std::string header = header_of(items, checksum);
  AtomicFile file(path, files);
  const std::uint64_t header_bytes = header.size();
  file.write(&header_bytes, sizeof header_bytes);
  file.write(header.data(), header.size());
  for_all_data([&](const void* data, std::size_t bytes) { file.write(data, bytes); });
  file.commit();
}

}  // namespace kindred
