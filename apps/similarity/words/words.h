// The words of `similar`: each is a program with a command line of its own. argv[0] is the word.
#pragma once

namespace kindred {

// Stands in lines for the class of an image that has none, so that the columns stay in their places.
inline constexpr const char* no_class = "-";

int index_images(int argc, char** argv);
int merge_index(int argc, char** argv);
int check_index(int argc, char** argv);
int search_images(int argc, char** argv);
int list_duplicates(int argc, char** argv);
int list_outliers(int argc, char** argv);
int list_mislabeled(int argc, char** argv);

}  // namespace kindred
