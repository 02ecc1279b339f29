namespace CutoffLen.Checkpoints;

/// <summary>Keys of config.json that change nothing here, each group with its reason.</summary>
internal static class UnusedKeys
{
    /// <summary>
    /// Who wrote the file, and with what. auto_map points at Python code beside the weights, which is not run. The tensors
    /// are checked against this network all the same.
    /// </summary>
    private static readonly string[] Provenance =
    [
        "_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map",
        "adapters", "unsloth_version", "unsloth_fixed", "finetuning_task",
    ];

    /// <summary>How Hugging Face's code runs: caches, kernels, outputs, memory, parallel plans.</summary>
    private static readonly string[] Execution =
    [
        "use_cache", "cache_implementation", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
        "_flash_attn_2_enabled", "use_flash_attn", "use_bfloat16", "torchscript", "return_dict", "use_return_dict",
        "output_attentions", "output_hidden_states", "gradient_checkpointing", "chunk_size_feed_forward",
        "base_model_tp_plan", "base_model_pp_plan", "pruned_heads",
    ];

    /// <summary>The stored dtype, which each tensor tells by itself.</summary>
    private static readonly string[] Dtype = ["torch_dtype", "dtype"];

    /// <summary>Tokens that neither scoring nor training uses; the tokenizer knows its own.</summary>
    private static readonly string[] Tokens =
    [
        "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id", "decoder_start_token_id", "prefix",
        "tokenizer_class", "max_sequence_length", "max_length", "min_length",
    ];

    /// <summary>Defaults of generation, which belong into generation_config.json.</summary>
    private static readonly string[] Generation =
    [
        "do_sample", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
        "diversity_penalty", "encoder_no_repeat_ngram_size", "no_repeat_ngram_size", "num_beams", "num_beam_groups",
        "num_return_sequences", "early_stopping", "bad_words_ids", "begin_suppress_tokens", "suppress_tokens",
        "forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty", "output_scores",
        "return_dict_in_generate", "remove_invalid_values",
    ];

    /// <summary>Of classifiers and of networks with an encoder; every Hugging Face configuration may carry them.</summary>
    private static readonly string[] OtherTasks =
    [
        "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "is_encoder_decoder", "is_decoder",
        "add_cross_attention", "cross_attention_hidden_size", "tie_encoder_decoder", "tf_legacy_loss", "classifier_dropout",
    ];

    /// <summary>All of them.</summary>
    public static IReadOnlySet<string> All { get; } =
        new HashSet<string>([.. Provenance, .. Execution, .. Dtype, .. Tokens, .. Generation, .. OtherTasks], StringComparer.Ordinal);

    /// <summary>Those that stay true of a checkpoint made from another one.</summary>
    public static IReadOnlySet<string> Kept { get; } =
        new HashSet<string>([.. Tokens, .. Generation, "id2label", "label2id", "problem_type"], StringComparer.Ordinal);
}
