target_sources(phalanx_data PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/bpe_merger.cc
  ${CMAKE_CURRENT_LIST_DIR}/bpe_trainer.cc
  ${CMAKE_CURRENT_LIST_DIR}/byte_alphabet.cc
  ${CMAKE_CURRENT_LIST_DIR}/encoder.cc
  ${CMAKE_CURRENT_LIST_DIR}/piece_counter.cc
  ${CMAKE_CURRENT_LIST_DIR}/pretokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/rank_file_reader.cc
  ${CMAKE_CURRENT_LIST_DIR}/token_index.cc
  ${CMAKE_CURRENT_LIST_DIR}/tokenizer.cc
  ${CMAKE_CURRENT_LIST_DIR}/tokenizer_file.cc
  ${CMAKE_CURRENT_LIST_DIR}/tokenizer_json_reader.cc
  ${CMAKE_CURRENT_LIST_DIR}/tokenizer_json_writer.cc
  ${CMAKE_CURRENT_LIST_DIR}/unicode_class.cc)
