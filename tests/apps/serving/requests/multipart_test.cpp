// Forms with files, against the pieces that they were made of.
#include "refused.h"

#include <kindred/apps/serving/requests/multipart.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace kindred {
namespace {

std::string part(const std::string& boundary, const std::string& head, const std::string& bytes) {
  return "--" + boundary + "\r\n" + head + "\r\n\r\n" + bytes + "\r\n";
}

std::string file_part(const std::string& boundary, const std::string& name, const std::string& bytes) {
  return part(
      boundary,
      "Content-Disposition: form-data; name=\"image\"; filename=\"" + name + "\"\r\nContent-Type: image/png",
      bytes);
}

int status_of_form(const std::string& body) {
  return test::refused_status([&] { files_of_form(body, "B", 4); });
}

TEST_CASE("serving: the files of a form come back byte by byte") {
  std::mt19937 random(7);
  // Few different characters, so that beginnings of boundaries are frequent.
  const std::string letters = "\r\n-B\0";
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> contents(random() % 4 + 1);
    std::string body;
    for (std::size_t i = 0; i < contents.size(); ++i) {
      for (std::size_t n = random() % 40; n > 0; --n) contents[i] += std::string("\r\n-B\0", 5)[random() % 5];
      while (contents[i].find("\r\n--B") != std::string::npos)
        contents[i].erase(contents[i].find("\r\n--B"), 1);
      body += file_part("B", "file " + std::to_string(i), contents[i]);
    }
    body += random() % 2 ? "--B--" : "--B--\r\nwhat follows is of no meaning";
    const auto files = files_of_form(body, "B", 4);
    REQUIRE(files.size() == contents.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      CHECK(files[i].name == "file " + std::to_string(i));
      CHECK(std::string(files[i].bytes) == contents[i]);
    }
  }
}

TEST_CASE("serving: names of files, fields that are none, boundaries") {
  const std::string body =
      part("B", "content-disposition: FORM-DATA; name=note", "words") +
      part("B", "Content-Disposition: form-data; filename=\"a \\\"b\\\"; c.png\"; name=x", "1") +
      part("B", "X: y\r\nContent-Disposition: form-data; name=\"filename=no\"; FileName=d.png", "2") +
      "--B--\r\n";
  const auto files = files_of_form(body, "B", 2);
  REQUIRE(files.size() == 2);
  CHECK(files[0].name == "a \"b\"; c.png");
  CHECK(std::string(files[0].bytes) == "1");
  CHECK(files[1].name == "d.png");
  CHECK(files_of_form("--B--", "B", 1).empty());
  CHECK(files_of_form("--B\r\n\r\nno headers\r\n--B--", "B", 1).empty());

  CHECK(multipart_boundary("multipart/form-data; boundary=abc") == "abc");
  CHECK(multipart_boundary("multipart/form-data; charset=x; Boundary=\"a b;c\"") == "a b;c");
  for (const std::string type : {"multipart/form-data", "multipart/form-data; boundary=",
                                 "multipart/form-data; boundary", "multipart/form-data; bound=x"})
    CHECK(test::refused_status([&] { multipart_boundary(type); }) == 400);
  CHECK(test::refused_status(
            [&] { multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'b')); }) == 400);
}

TEST_CASE("serving: a form that is none, or is cut anywhere, is refused") {
  const std::string whole = file_part("B", "a", "123") + file_part("B", "b", "456") + "--B--";
  CHECK(status_of_form(whole) == 200);
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK(status_of_form(whole.substr(0, length)) == 400);
  CHECK(status_of_form("preamble\r\n" + whole) == 400);
  CHECK(status_of_form("--C" + whole.substr(3)) == 400);
  CHECK(status_of_form("--B\r\n" + std::string(10000, 'h') + "\r\n\r\nx\r\n--B--") == 400);

  std::string five;
  for (int i = 0; i < 5; ++i) five += file_part("B", "f", "x");
  CHECK(status_of_form(five + "--B--") == 413);

  // Random changes: refused, or files that lie within the body. (A sanitizer would say of any read beyond.)
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string changed = whole;
    for (std::size_t n = random() % 4 + 1; n > 0; --n)
      changed[random() % changed.size()] = static_cast<char>(random() % 256);
    const int status = test::refused_status([&] {
      for (const UploadedFile& file : files_of_form(changed, "B", 4)) {
        CHECK(file.bytes.data() >= changed.data());
        CHECK(file.bytes.data() + file.bytes.size() <= changed.data() + changed.size());
      }
    });
    CHECK((status == 200 || status == 400));
  }
}

}  // namespace
}  // namespace kindred
