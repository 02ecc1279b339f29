using System.ComponentModel.DataAnnotations;
using System.ComponentModel;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Evaluation;
using CutoffLen.Hardware;
using CutoffLen.Hub;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Configuration;

/// <summary>
/// Everything that a run can be told. A property is a key: its name in snake_case, its default here, its allowed values
/// in its attributes; <see cref="ConfigKeys"/> reads them from here, so no key is written down twice. In files the keys
/// are flat, the sections only sort them. Names are Hugging Face's and PEFT's where those have one.
/// </summary>
public sealed record RunConfig
{
    /// <summary>The model and where it runs.</summary>
    public ModelConfig Model { get; init; } = new();

    /// <summary>The data and how sequences are made of it.</summary>
    public DataConfig Data { get; init; } = new();

    /// <summary>How it is trained.</summary>
    public TrainingConfig Training { get; init; } = new();

    /// <summary>Adapters, with method: lora.</summary>
    public LoraConfig Lora { get; init; } = new();

    /// <summary>How it is measured.</summary>
    public EvaluationConfig Evaluation { get; init; } = new();

    /// <summary>What a sweep compares, with 'cutoff sweep'.</summary>
    public SweepConfig Sweep { get; init; } = new();

    /// <summary>The same from wherever it is read: paths are absolute, and what is in the hub's cache has its name with the commit.</summary>
    public RunConfig WithFullPaths() => this with
    {
        Model = Model with { Model = Model.Model is null ? null : ModelFolder.Portable(Model.Model) },
        Data = Data with { Data = [.. Data.Data.Select(HubCache.Portable)], CacheDir = FullPath(Data.CacheDir) },
        Training = Training with { OutputDir = FullPath(Training.OutputDir) },
        Evaluation = Evaluation with { EvalData = [.. Evaluation.EvalData.Select(HubCache.Portable)] },
    };

    private static string? FullPath(string? path) => path is null ? null : Path.GetFullPath(path);
}

/// <summary>The model and where it runs.</summary>
public sealed record ModelConfig
{
    /// <summary>Folder of a checkpoint in Hugging Face layout; <c>HubFiles</c> makes one of a GGUF file and of a name.</summary>
    [Description("Folder of a LLaMA-type checkpoint in Hugging Face layout, a GGUF file, or a name on the hub: org/name[@revision].")]
    [Also("model_name_or_path", "base_model")]
    public string? Model { get; init; }

    /// <summary>Position method, METHOD[:key=value,...][+MODIFIER[:...]][@LAYERS=SPEC...]; auto reads the checkpoint's own.</summary>
    [Description("Position method, METHOD[:key=value,...][+MODIFIER[:...]][@LAYERS=SPEC...]; see 'cutoff rope list'. auto is the checkpoint's own.")]
    public string Rope { get; init; } = "auto";

    /// <summary>Number format of the model; auto takes bf16 where the hardware has it.</summary>
    [Description("Number format of the model: auto, fp32 or bf16.")]
    [AllowedValues("auto", "fp32", "bf16")]
    [Synonym("float32", "fp32")]
    [Synonym("bfloat16", "bf16")]
    [Also("torch_dtype")]
    public string Dtype { get; init; } = "auto";

    /// <summary>nf4 keeps the projections of the decoder layers in 4 bits, with method: lora; null leaves them as the checkpoint has them.</summary>
    [Description("nf4 keeps the base model in 4 bits (QLoRA), with method: lora.")]
    public Quantization? Quantization { get; init; }

    /// <summary>auto, cpu, cuda or cuda:N.</summary>
    [Description("Where the model lives: auto, cpu, cuda or cuda:N.")]
    public string Device { get; init; } = "auto";

    /// <summary>What computes plain causal attention: libtorch's sdpa, ours blocked, or auto, measured at start where it matters.</summary>
    [Description("What computes plain causal attention: sdpa (libtorch's), blocked (ours), or auto: sdpa where it computes the position method.")]
    [AllowedValues("auto", "sdpa", "blocked")]
    public string Attention { get; init; } = "auto";

    /// <summary>CPU threads of one operation; see <see cref="CpuThreads.Use"/>.</summary>
    [Description("CPU threads; 0: OMP_NUM_THREADS where set, else one a core.")]
    [Range(0, CpuThreads.Most)]
    public int Threads { get; init; }
}

/// <summary>The data and how sequences are made of it.</summary>
public sealed record DataConfig
{
    /// <summary>Files (.txt, .jsonl, also .gz and .zst, .parquet), folders and globs to train on; <c>HubFiles</c> makes files of names.</summary>
    [Description("Files (.txt, .jsonl, also .gz and .zst, .parquet), folders or globs to train on, or hf:org/name/FILE[@revision] on the hub.")]
    [NotCompared("compared by the tokens")]
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>The field of .jsonl lines and the column of .parquet files with the text, in data and eval_data.</summary>
    [Description("Field of .jsonl lines and column of .parquet files with the text.")]
    [NotCompared("compared by the tokens")]
    public string DatasetTextField { get; init; } = DataFile.StandardTextField;

    /// <summary>The cutoff length: tokens of a training sequence.</summary>
    [Description("The cutoff length: tokens of a training sequence, 8192 or 8k.")]
    [Tokens]
    [Range(2, int.MaxValue)]
    [Also("max_seq_len", "max_seq_length", "sequence_len", "model_max_length", "cutoff")]
    public int? CutoffLen { get; init; }

    /// <summary>The length whose positions are trained, where positions reach further than the cutoff; null is the cutoff.</summary>
    [Tokens]
    [Range(2, int.MaxValue)]
    public int? TargetLen { get; init; }

    /// <summary>How documents become sequences: documents, concat or pad.</summary>
    public Packing Packing { get; init; } = Packing.Documents;

    /// <summary>Whether records of prompt and completion are trained on the completion alone; texts are learned whole in any case.</summary>
    public bool CompletionOnlyLoss { get; init; } = true;

    /// <summary>Position ids in training: plain, pose, randomized, shape, random-padding, skip-align, cream, longrecipe, clex.</summary>
    [Description("Position ids in training: plain, pose, randomized, shape, random-padding, skip-align, cream, longrecipe, clex.")]
    public string Positions { get; init; } = "plain";

    /// <summary>Folder of the token caches; null is the user's cache folder.</summary>
    [NotCompared("changes no bit of the trained model")]
    public string? CacheDir { get; init; }
}

/// <summary>Adapters under PEFT's names.</summary>
public sealed record LoraConfig
{
    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    private static readonly string[] EmbeddingAndNorms = ["embed_tokens", "norm", "input_layernorm", "post_attention_layernorm"];

    /// <summary>Rank of the adapters.</summary>
    [Range(1, 65536)]
    [Also("lora_rank")]
    public int LoraR { get; init; } = 8;

    /// <summary>The adapters' product is scaled by lora_alpha / lora_r.</summary>
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    public double LoraAlpha { get; init; } = 16;

    /// <summary>Share of an adapter's inputs that is dropped in training.</summary>
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double LoraDropout { get; init; }

    /// <summary>
    /// The linear layers, and the embedding, that get adapters, as PEFT matches them: ends of module names; a single text that is
    /// a regular expression for whole names; or all-linear, all but the head. The default is attention's projections, in Phi-3 qkv_proj and
    /// o_proj.
    /// </summary>
    [Also("target_modules", "lora_target")]
    public IReadOnlyList<string> LoraTargetModules { get; init; } = Attention;

    /// <summary>
    /// Modules trained whole, those whose names end so: long-context adapters fail without embeddings and norms (LongLoRA,
    /// arXiv 2309.12307, table 2). The default is all of these, in OLMo 2 post_feedforward_layernorm instead of input_layernorm.
    /// </summary>
    [Also("lora_modules_to_save")]
    public IReadOnlyList<string> ModulesToSave { get; init; } = EmbeddingAndNorms;

    /// <summary>Whether to scale by lora_alpha / sqrt(lora_r) (arXiv 2312.03732).</summary>
    public bool UseRslora { get; init; }

    /// <summary>How many times larger the learning rate of the B matrices is (LoRA+, arXiv 2402.12354); 1 for LoRA's own.</summary>
    [Range(1.0, 1000.0)]
    public double LoraplusLrRatio { get; init; } = 1;

    /// <summary>The same as PEFT's adapter_config.json has it.</summary>
    /// <param name="family">The model's, under whose names the default modules are.</param>
    public AdapterConfig ToAdapterConfig(LlamaFamily family)
    {
        var targets = family.FusedProjections && LoraTargetModules.SequenceEqual(Attention) ? ["qkv_proj", "o_proj"] : LoraTargetModules;
        var whole = family.NormsAfter && ModulesToSave.SequenceEqual(EmbeddingAndNorms) ? ["embed_tokens", "norm", "post_attention_layernorm", "post_feedforward_layernorm"] : ModulesToSave;
        return new(LoraR, LoraAlpha, LoraDropout, ModuleSelection.Of(targets), whole, UseRslora);
    }
}

/// <summary>How it is measured.</summary>
public sealed record EvaluationConfig
{
    /// <summary>Files, folders and globs to measure on.</summary>
    public IReadOnlyList<string> EvalData { get; init; } = [];

    /// <summary>The lengths to measure at, ascending.</summary>
    [Tokens]
    [Range(2, int.MaxValue)]
    public IReadOnlyList<int> Lengths { get; init; } = [1024, 2048, 4096, 8192];

    /// <summary>Perplexity protocol.</summary>
    public string Protocol { get; init; } = "pi-s256";

    /// <summary>Stride of the protocol, in tokens; null is the protocol's own.</summary>
    [Range(1, int.MaxValue)]
    public int? Stride { get; init; }

    /// <summary>Nats above its running minimum that a loss curve must rise to have reached its limit.</summary>
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    public double Delta { get; init; } = 0.1;

    /// <summary>Steps between short perplexity sweeps on eval_data during training; 0 for none.</summary>
    [Range(0, int.MaxValue)]
    public int EvalSteps { get; init; }

    /// <summary>The lengths of these sweeps; none means the native length, the cutoff (or target_len) and twice that.</summary>
    [Tokens]
    [Range(2, int.MaxValue)]
    public IReadOnlyList<int> EvalLengths { get; init; } = [];

    /// <summary>The protocol of these sweeps; with prefix one pass over each document gives every length.</summary>
    public string EvalProtocol { get; init; } = "prefix";

    /// <summary>Documents of a sweep during training, the first of eval_data; null for all, as it is for cutoff sweep when it is not given.</summary>
    [Range(1, int.MaxValue)]
    public int? MaxEvalDocuments { get; init; } = 8;
}

/// <summary>What 'cutoff sweep' compares; each cell of its grid is a run with rope and cutoff_len set from these.</summary>
public sealed record SweepConfig
{
    /// <summary>The position methods, the first the one that others are compared with; each with its own training positions where it has such.</summary>
    public IReadOnlyList<SweepRow> Ropes { get; init; } = [];

    /// <summary>Of these, the ones to fine-tune with; null for all.</summary>
    public IReadOnlyList<string>? FinetuneRopes { get; init; }

    /// <summary>The cutoff lengths to fine-tune at, ascending; none to measure the checkpoint as it is only.</summary>
    [Tokens]
    [Range(2, int.MaxValue)]
    public IReadOnlyList<int> Cutoffs { get; init; } = [];
}
