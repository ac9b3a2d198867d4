"""The names of TensorFlow Lite's operators, by number.

Source: BuiltinOperator in TensorFlow Lite's schema.fbs, up to where the operators of other dialects begin.
"""

NAMES = tuple("""
    add average_pool_2d concatenation conv_2d depthwise_conv_2d depth_to_space dequantize embedding_lookup floor
    fully_connected hashtable_lookup l2_normalization l2_pool_2d local_response_normalization logistic lsh_projection lstm
    max_pool_2d mul relu relu_n1_to_1 relu6 reshape resize_bilinear rnn softmax space_to_depth svdf tanh concat_embeddings
    skip_gram call custom embedding_lookup_sparse pad unidirectional_sequence_rnn gather batch_to_space_nd
    space_to_batch_nd transpose mean sub div squeeze unidirectional_sequence_lstm strided_slice bidirectional_sequence_rnn
    exp topk_v2 split log_softmax delegate bidirectional_sequence_lstm cast prelu maximum arg_max minimum less neg padv2
    greater greater_equal less_equal select slice sin transpose_conv sparse_to_dense tile expand_dims equal not_equal log
    sum sqrt rsqrt shape pow arg_min fake_quant reduce_prod reduce_max pack logical_or one_hot logical_and logical_not
    unpack reduce_min floor_div reduce_any square zeros_like fill floor_mod range resize_nearest_neighbor leaky_relu
    squared_difference mirror_pad abs split_v unique ceil reverse_v2 add_n gather_nd cos where rank elu reverse_sequence
    matrix_diag quantize matrix_set_diag round hard_swish if while non_max_suppression_v4 non_max_suppression_v5
    scatter_nd select_v2 densify segment_sum batch_matmul placeholder_for_greater_op_codes cumsum call_once broadcast_to
    rfft2d conv_3d imag real complex_abs hashtable hashtable_find hashtable_import hashtable_size reduce_all
    conv_3d_transpose var_handle read_variable assign_variable broadcast_args random_standard_normal bucketize
    random_uniform multinomial gelu dynamic_update_slice relu_0_to_1 unsorted_segment_prod unsorted_segment_max
    unsorted_segment_sum atan2 unsorted_segment_min sign bitcast bitwise_xor right_shift
""".upper().split())
CUSTOM = 32
