// What explain_loss prints: sentences, headings and matrices on lines of at most 100 columns.
#pragma once

#include <kindred/apps/explanation/steps.h>

#include <cstddef>
#include <string>

namespace kindred {

void say(const std::string& line);
// Prints the text in lines of at most 97 characters, after an empty line.
void explain(const std::string& text);
void heading(int number, const std::string& title, const std::string& computed_by);
std::string row_name(std::size_t i);
// A cell of 7 characters holds any value of this page with two decimals, and twelve cells fit into 100 columns.
void print_matrix(const Matrix& matrix, bool hide_diagonal);

}  // namespace kindred
