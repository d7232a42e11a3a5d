#include "parallel/symbol_table.h"

#include <elf.h>
#include <link.h>

#include <fstream>
#include <iterator>
#include <vector>

namespace phalanx {
namespace {

/// Bytes [begin, begin + size) of the file as `T`s; none where the file is shorter.
template <typename T>
std::vector<T> read_array(std::ifstream& file, uint64_t begin, uint64_t size) {
  std::vector<T> values(size / sizeof(T));
  file.clear();
  file.seekg(static_cast<std::streamoff>(begin));
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file) values.clear();
  return values;
}

int note_program(dl_phdr_info* info, size_t, void* base) {
  // The program comes first.
  *static_cast<const void**>(base) = reinterpret_cast<const void*>(info->dlpi_addr);
  return 1;
}

}  // namespace

SymbolTable::SymbolTable() {
  dl_iterate_phdr(note_program, &base_);
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const auto header = read_array<ElfW(Ehdr)>(file, 0, sizeof(ElfW(Ehdr)));
  if (header.empty()) return;
  const auto sections = read_array<ElfW(Shdr)>(file, header[0].e_shoff,
                                               uint64_t{header[0].e_shnum} * sizeof(ElfW(Shdr)));
  for (const ElfW(Shdr) & section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const ElfW(Shdr)& strings = sections[section.sh_link];
    std::vector<char> names = read_array<char>(file, strings.sh_offset, strings.sh_size);
    names.push_back('\0');
    for (const ElfW(Sym) & symbol :
         read_array<ElfW(Sym)>(file, section.sh_offset, section.sh_size)) {
      const bool function = ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value != 0;
      if (!function || symbol.st_name >= names.size()) continue;
      functions_[symbol.st_value] = {symbol.st_value + symbol.st_size, &names[symbol.st_name]};
    }
  }
}

std::string SymbolTable::name_at(const void* base, uint64_t offset) const {
  const auto after = functions_.upper_bound(offset);
  if (base != base_ || after == functions_.begin()) return {};
  const Function& function = std::prev(after)->second;
  return offset < function.end ? function.name : std::string();
}

}  // namespace phalanx
