"""20 steps give the same losses and gradient norms on every mesh, within 1e-5 of one rank."""

from support import RunTest, main


class MeshParity(RunTest):

    def compare(self, name, meshes, *model):
        expected = self.train(1, f'{name}-1x1', *model).metrics()
        self.assertEqual(len(expected), 20)
        for tensor, data in meshes:
            with self.subTest(f'{name} at {tensor}x{data}'):
                found = self.train(tensor * data, f'{name}-{tensor}x{data}',
                                   f'parallel.tensor_parallel_size={tensor}', *model)
                self.assert_close(found.metrics(), expected)

    def test_shared_key_heads(self):
        """8 query and 2 key heads: at 4 tensor-parallel ranks two ranks share a key head."""
        self.compare('shared', [(2, 1), (1, 2), (2, 2), (4, 1)])

    def test_key_heads_that_do_not_divide(self):
        self.compare('odd', [(4, 1)], 'model.num_attention_heads=20', 'model.num_key_value_heads=5',
                     'model.head_dim=4')

    def test_sequence_parallel_is_a_matter_of_memory_only(self):
        self.compare('whole', [(2, 1)], 'parallel.sequence_parallel=false')

    def test_forty_query_and_ten_key_heads(self):
        """As in phi-4, where 8 ranks hold 5 query heads and parts of 2 key heads each."""
        self.compare('forty', [(4, 1), (8, 1)], 'model.num_attention_heads=40',
                     'model.num_key_value_heads=10', 'model.head_dim=4')


if __name__ == '__main__':
    main()
