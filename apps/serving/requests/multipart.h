// The files of a form, as browsers and `curl -F` send them (RFC 7578). The time to read one grows with its size alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct UploadedFile {
  std::string name{};        // as the client called the file
  std::string_view bytes{};  // of the body that was read
};

// The boundary that a Content-Type of multipart/form-data names. Throws Refused(400) if it names none, or one that is not
// allowed.
std::string multipart_boundary(const std::string& content_type);

// Fields without a file name are passed over. Throws Refused(400) if the body is no such form or ends too early, and Refused(413)
// if it has more than `most` files.
std::vector<UploadedFile> files_of_form(std::string_view body, const std::string& boundary, std::size_t most);

}  // namespace kindred
