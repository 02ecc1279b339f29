using System.Text.Json.Nodes;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints;

/// <summary>
/// Keys of config.json that change nothing here: some at every value, some at one, each group with its reason. They are the
/// attributes of transformers' PretrainedConfig (versions 4 and 5) and what well-known families and programs add.
/// </summary>
internal static class UnusedKeys
{
    /// <summary>
    /// Who wrote the file, and with what. auto_map points at Python code beside the weights, which is not run. The tensors
    /// are checked against this network all the same.
    /// </summary>
    private static readonly string[] Provenance =
    [
        "_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map",
        "adapters", "unsloth_version", "unsloth_fixed", "finetuning_task", "is_llama_config", "transformers.js_config",
    ];

    /// <summary>How Hugging Face's code runs: caches, kernels, outputs, memory, parallel plans.</summary>
    private static readonly string[] Execution =
    [
        "use_cache", "cache_implementation", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
        "_attn_implementation_internal", "_experts_implementation", "_output_attentions", "_flash_attn_2_enabled", "use_flash_attn",
        "use_flash_attention", "use_flash_attention_2", "use_bfloat16", "torchscript", "return_dict", "use_return_dict",
        "output_attentions", "output_hidden_states", "gradient_checkpointing", "chunk_size_feed_forward", "xla_device",
        "base_model_tp_plan", "base_model_pp_plan", "base_model_ep_plan", "base_model_fsdp_plan", "neftune_noise_alpha",
    ];

    /// <summary>The stored dtype, which each tensor tells by itself.</summary>
    private static readonly string[] Dtype = ["torch_dtype", "dtype"];

    /// <summary>Tokens that neither scoring nor training uses; the tokenizer knows its own.</summary>
    private static readonly string[] Tokens =
    [
        "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id", "decoder_start_token_id", "prefix",
        "tokenizer_class", "bos_token", "eos_token", "pad_token", "unk_token", "padding_side", "tokenizer_padding_side",
    ];

    /// <summary>Lengths that programs note beside max_position_embeddings; positions come from that alone.</summary>
    private static readonly string[] Lengths =
    [
        "max_sequence_length", "max_seq_len", "max_seq_length", "seq_length", "model_max_length",
        "tokenizer_model_max_length", "n_ctx", "n_positions",
    ];

    /// <summary>Defaults of generation, which belong into generation_config.json.</summary>
    private static readonly string[] Generation =
    [
        "do_sample", "max_length", "min_length", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
        "diversity_penalty", "encoder_no_repeat_ngram_size", "no_repeat_ngram_size", "num_beams", "num_beam_groups",
        "num_return_sequences", "early_stopping", "bad_words_ids", "begin_suppress_tokens", "suppress_tokens",
        "forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty", "output_scores",
        "return_dict_in_generate", "remove_invalid_values", "max_new_tokens", "min_new_tokens", "min_p", "epsilon_cutoff",
        "eta_cutoff", "renormalize_logits", "penalty_alpha",
    ];

    /// <summary>Of classifiers and of networks with an encoder; every Hugging Face configuration may carry them.</summary>
    private static readonly string[] OtherTasks =
    [
        "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "is_encoder_decoder", "is_decoder",
        "add_cross_attention", "cross_attention_hidden_size", "tie_encoder_decoder", "tf_legacy_loss", "classifier_dropout",
        "loss_type",
    ];

    /// <summary>Multipliers of other families (Granite, Cohere, MiniCPM, GPT-NeoX, Phi-4's remote code), where 1 is this network.</summary>
    private static readonly string[] NothingAtOne =
    [
        "embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale", "lm_head_multiplier", "scale_emb",
        "embedding_scale", "rotary_pct", "rotary_emb_fraction", "full_attn_mod", "interpolate_factor",
    ];

    /// <summary>Shares, caps and counts of other families, where 0 is none. OLMo's clip_qkv is not one: its 0 clips all to 0.</summary>
    private static readonly string[] NothingAtZero =
    [
        "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "embd_pdrop", "resid_pdrop", "attn_pdrop",
        "dropout", "embedding_dropout", "layerdrop", "attn_logit_softcapping", "final_logit_softcapping", "no_rope_layer_interval",
        "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "num_nextn_predict_layers",
        "router_aux_loss_coef",
    ];

    /// <summary>Switches of what this network has: true changes nothing, false would.</summary>
    private static readonly string[] NothingAtTrue =
        ["is_causal", "causal", "use_causal_mask", "use_rope", "use_rotary", "rms_norm", "use_rms_norm", "scale_attn_weights"];

    private static readonly HashSet<string> Always = [.. Provenance, .. Execution, .. Dtype, .. Tokens, .. Lengths, .. Generation, .. OtherTasks];

    /// <summary>Those that stay true of a checkpoint made from another one.</summary>
    public static IReadOnlySet<string> Kept { get; } =
        new HashSet<string>([.. Tokens, .. Generation, "id2label", "label2id", "problem_type"], StringComparer.Ordinal);

    /// <summary>
    /// Whether a key that nothing here reads changes nothing at its value. False, null and empty values switch on nothing,
    /// whatever the key is, except those of <see cref="NothingAtTrue"/>.
    /// </summary>
    public static bool ChangesNothing(string key, JsonNode? value) =>
        Always.Contains(key)
        || (NothingAtTrue.Contains(key) ? value is null || value.AsFlag() == true : value.IsUnset())
        || (NothingAtOne.Contains(key) && value.AsNumber() == 1)
        || (NothingAtZero.Contains(key) && value.AsNumber() == 0)
        // SmolLM3's list, in which 1 is a layer with RoPE.
        || (key == "no_rope_layers" && value is JsonArray layers && layers.All(layer => layer.AsNumber() == 1));
}
