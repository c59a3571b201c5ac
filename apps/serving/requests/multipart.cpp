#include <kindred/apps/serving/requests/multipart.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/requests/request_text.h>

#include <fmt/core.h>

#include <optional>

namespace kindred {
namespace {

constexpr std::size_t longest_boundary = 70;  // RFC 2046
constexpr std::size_t longest_part_head = 8192;

// The value of `name="value"` or name=value in "form-data; name=...; filename=...".
std::optional<std::string> parameter_of(std::string_view header, std::string_view wanted) {
  std::size_t at = header.find(';');
  while (at < header.size()) {
    ++at;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    const std::size_t equals = header.find_first_of("=;", at);
    if (equals == std::string_view::npos) return std::nullopt;
    if (header[equals] == ';') {
      at = equals;
      continue;
    }
    const bool is_wanted = same_in_lower_case(header.substr(at, equals - at), wanted);
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size() && (header[at + 1] == '"' || header[at + 1] == '\\'))
          ++at;
        value += header[at];
      }
      at = header.find(';', at);
    } else {
      const std::size_t end = header.find(';', at);
      value = trimmed(header.substr(at, end == std::string_view::npos ? end : end - at));
      at = end;
    }
    if (is_wanted) return value;
  }
  return std::nullopt;
}

[[noreturn]] void refuse_form(std::string_view what) {
  throw Refused(400, fmt::format("the form cannot be read: {}; expected multipart/form-data with files", what));
}

// The name of the file, if the part is one.
std::optional<std::string> file_name(std::string_view head) {
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_in_lower_case(line.substr(0, colon), "content-disposition"))
      return parameter_of(line.substr(colon + 1), "filename");
    if (end == std::string_view::npos) break;
    head.remove_prefix(end + 2);
  }
  return std::nullopt;
}

}  // namespace

std::string multipart_boundary(const std::string& content_type) {
  const auto boundary = parameter_of(content_type, "boundary");
  if (!boundary || boundary->empty()) refuse_form("its Content-Type has no boundary");
  if (boundary->size() > longest_boundary || boundary->find_first_of("\r\n") != std::string::npos)
    refuse_form("its boundary has more than 70 characters");
  return *boundary;
}

std::vector<UploadedFile> files_of_form(std::string_view body, const std::string& boundary, std::size_t most) {
  const std::string opening = "--" + boundary, between = "\r\n" + opening;
  std::vector<UploadedFile> files;
  if (!body.starts_with(opening)) refuse_form("it does not begin with its boundary");
  body.remove_prefix(opening.size());
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n")) refuse_form("a boundary does not end its line");
    body.remove_prefix(2);
    // A part without headers begins with the empty line.
    const std::size_t head = body.starts_with("\r\n") ? 0 : body.substr(0, longest_part_head).find("\r\n\r\n");
    if (head == std::string_view::npos) refuse_form("a part has no end of its headers");
    const std::string_view content = body.substr(head == 0 ? 2 : head + 4);
    const std::size_t length = content.find(between);
    if (length == std::string_view::npos) refuse_form("it ends within a part");
    if (auto name = file_name(body.substr(0, head))) {
      if (files.size() == most) throw Refused(413, fmt::format("the form has more than {} files", most));
      files.push_back({std::move(*name), content.substr(0, length)});
    }
    body = content.substr(length + between.size());
  }
  return files;
}

}  // namespace kindred
