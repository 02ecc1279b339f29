using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Tokenization;
using CutoffLen.Training;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>
/// A fine-tuning run before its weights are read: everything is opened, checked and decided, and nothing is written. It does
/// not change; several runs may be made of one.
/// </summary>
public sealed class FinetunePlan : IDisposable
{
    private readonly Lazy<AttentionChoice> attention;
    private readonly bool ownsInputs;

    private FinetunePlan(
        RunConfig config, ModelFolder baseModel, string baseIdentity, DeviceAndDtype compute, ICollectives ranks, Func<TokenizedDocuments> documents, bool ownsInputs,
        CancellationToken stop)
    {
        (Config, Base, BaseIdentity, Compute, Ranks, this.ownsInputs) = (config, baseModel, baseIdentity, compute, ranks, ownsInputs);
        Model = ModelOf(config, baseModel.Config);
        Positions = PositionsOf(config, Model);
        CheckClex(config, Model, Positions);
        Evaluation = FinetuneEvaluation.Open(config, Base.Tokenizer, Positions, stop);
        Documents = documents();
        Sequences = new TrainingSequences(Documents, config.Data.CutoffLen!.Value, config.Data.Packing, config.Training.Seed, Base.Tokenizer.SpecialTokens.Eos ?? 0);
        Steps = new TrainingSteps(config.Training, Sequences.Count, Sequences.Cutoff, ranks.Size);
        attention = new(() => ChooseAttention(config, config.Model.Attention, Positions, Model, compute));
    }

    /// <summary>The configuration.</summary>
    public RunConfig Config { get; }

    /// <summary>The checkpoint to fine-tune.</summary>
    public ModelFolder Base { get; }

    /// <summary>A hash of the base model's settings and weights.</summary>
    public string BaseIdentity { get; }

    /// <summary>The base model's architecture, quantized as the run has it.</summary>
    public LlamaConfig Model { get; }

    /// <summary>Device and dtype.</summary>
    public DeviceAndDtype Compute { get; }

    /// <summary>The ranks that train together.</summary>
    public ICollectives Ranks { get; }

    /// <summary>The position method; its target length is the one whose positions are trained.</summary>
    public PositionSetup Positions { get; }

    /// <summary>The tokenized data.</summary>
    public TokenizedDocuments Documents { get; }

    /// <summary>Names the data by its tokens; the files' names do not matter.</summary>
    public string DataIdentity => $"{Documents.Count} documents, {Documents.Tokens} tokens, tokenizer {Base.Tokenizer.Fingerprint[..16]}";

    /// <summary>The training sequences.</summary>
    public TrainingSequences Sequences { get; }

    /// <summary>The optimizer steps.</summary>
    public TrainingSteps Steps { get; }

    /// <summary>What computes attention. Where the configuration says auto, the first call measures.</summary>
    public AttentionChoice Attention => attention.Value;

    /// <summary>The measurements of eval_steps; null where there are none.</summary>
    internal FinetuneEvaluation? Evaluation { get; }

    /// <summary>Opens model and data and checks everything.</summary>
    /// <param name="config">Model, data, cutoff_len and output_dir must be given.</param>
    /// <param name="ranks">The ranks that train together (<see cref="World.Ranks"/>), each of which opens the plan; null for one.</param>
    /// <param name="stop">Stops tokenizing.</param>
    /// <exception cref="UserException">All that is wrong with the configuration, the model or the data.</exception>
    public static FinetunePlan Open(RunConfig config, ICollectives? ranks = null, CancellationToken stop = default)
    {
        ranks ??= SingleRank.Instance;
        Check(config, ranks);
        var compute = DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
        CpuThreads.Use(config.Model.Threads);
        var baseModel = OpenBase(config.Model.Model!);
        TokenizedDocuments? documents = null;
        try
        {
            return new FinetunePlan(
                config, baseModel, baseModel.Identity, compute, ranks, () => documents = OpenDocuments(config, baseModel.Tokenizer, stop), ownsInputs: true, stop);
        }
        catch (Exception fault) when (fault is UserException or OperationCanceledException)
        {
            documents?.Dispose();
            baseModel.Dispose();
            throw;
        }
    }

    /// <summary>The plan of another run on the same model and data, which stay this plan's.</summary>
    /// <param name="config">With the same model, data and device.</param>
    /// <exception cref="UserException">All that is wrong with the configuration.</exception>
    public FinetunePlan With(RunConfig config)
    {
        Check(config, Ranks);
        return new FinetunePlan(config, Base, BaseIdentity, Compute, Ranks, () => Documents, ownsInputs: false, default);
    }

    /// <summary>Closes model and data.</summary>
    public void Dispose()
    {
        if (ownsInputs)
        {
            Documents.Dispose();
            Base.Dispose();
        }
    }

    /// <summary>The base model's architecture, quantized as the checkpoint is or as the configuration says.</summary>
    /// <exception cref="UserException">All weights would be trained, and some are quantized.</exception>
    internal static LlamaConfig ModelOf(RunConfig config, LlamaConfig baseModel)
    {
        var model = baseModel with { Quantization = baseModel.Quantization ?? config.Model.Quantization };
        return model.Quantization is null || config.Training.Method == TrainingMethod.Lora
            ? model
            : throw new UserException(
                $"method: full: weights in 4 bits ({(baseModel.Quantization is null ? "quantization: nf4" : $"as {config.Model.Model} has them")}) cannot be trained; method: lora trains adapters beside them");
    }

    /// <summary>The position method of a configuration, for the length whose positions are trained.</summary>
    internal static PositionSetup PositionsOf(RunConfig config, LlamaConfig model) =>
        model.SetupFor(PositionMethods.Parse(config.Model.Rope), config.Data.TargetLen ?? config.Data.CutoffLen!.Value);

    /// <summary>The weights of CLEX's equation before training; null under other methods.</summary>
    internal static ClexWeights? EquationOf(PositionSetup positions) => (positions.Layers.OfEveryLayer as ClexMethod)?.Weights;

    /// <summary>What computes attention in training.</summary>
    internal static AttentionChoice ChooseAttention(RunConfig config, string asked, PositionSetup positions, LlamaConfig model, DeviceAndDtype compute) => AttentionChoice.Of(
        asked, positions.Layers, model, compute.Device, compute.Dtype, config.Data.CutoffLen!.Value);

    /// <summary>The data of a configuration, tokenized.</summary>
    internal static TokenizedDocuments OpenDocuments(RunConfig config, CheckpointTokenizer tokenizer, CancellationToken stop) => TokenizedDocuments.Open(
        config.Data.Data, tokenizer, tokenizer.SpecialTokens, config.Data.CacheDir, config.Data.DatasetTextField, sentence => Log.Information("{Sentence:l}", sentence),
        completionOnlyLoss: config.Data.CompletionOnlyLoss, stop: stop);

    /// <summary>The model that a configuration trains, around its weights.</summary>
    internal static TrainableModel LoadModel(
        RunConfig config, LlamaConfig model, WeightSource weights, DeviceAndDtype compute, ClexWeights? equation, ICollectives? ranks = null) =>
        config.Training.Method == TrainingMethod.Full
            ? TrainableModel.Full(model, weights, compute.Dtype, compute.Device, ranks, equation)
            : TrainableModel.Lora(
                model, weights, compute.Dtype, compute.Device, config.Lora.ToAdapterConfig(model.Family), config.Training.Seed, config.Lora.LoraplusLrRatio, ranks);

    /// <summary>The model that this run trains, from the base model or from a checkpoint of the run.</summary>
    internal TrainableModel LoadModel(string? checkpoint)
    {
        // A checkpoint of all weights replaces the base model; adapters go on top of it.
        var isFull = Config.Training.Method == TrainingMethod.Full;
        using var trained = isFull && checkpoint is not null ? HuggingFaceCheckpoint.Open(checkpoint) : null;
        var equation = EquationOf(Positions) is { } begin ? trained?.Config.Clex ?? begin : null;
        var model = LoadModel(Config, Model, (trained ?? Base.Checkpoint).Weights(Compute.Device, Compute.Dtype, Model.Quantization), Compute, equation, Ranks);
        if (!isFull && checkpoint is not null)
        {
            model.LoadAdapters(checkpoint);
        }

        Base.Checkpoint.Unmap(); // the model keeps what it needs of the files
        return model;
    }

    /// <summary>The trainer of a model that <see cref="LoadModel(string?)"/> gave.</summary>
    internal Trainer CreateTrainer(TrainableModel model, AttentionPath path)
    {
        var positionIds = PositionIdSamplers.Parse(Config.Data.Positions);
        var breaks = positionIds.EndsUnit is { } endsUnit
            ? new TextBreaks(Model.VocabSize, id => endsUnit(Base.Tokenizer.TextOf(id)))
            : null;
        return new Trainer(model, Positions.Layers, Sequences, Steps, positionIds, path, Config.Data.TargetLen, breaks);
    }

    private static void Check(RunConfig config, ICollectives ranks)
    {
        RunConfigCheck.Require(
            "finetune",
            (config.Model.Model is null, "--model (model): the checkpoint to fine-tune"),
            (config.Data.Data.Count == 0, "--data (data): what to train on"),
            (config.Data.CutoffLen is null, "--cutoff (cutoff_len): tokens of a training sequence"),
            (config.Training.OutputDir is null, "--out (output_dir): the folder of the run"));
        if (config.Sweep is not { Ropes: [], Cutoffs: [], FinetuneRopes: null })
        {
            throw new UserException("ropes, finetune_ropes and cutoffs are keys of 'cutoff sweep'; finetune has rope and cutoff_len");
        }

        RunConfigCheck.Check(config);
        CheckOffload(config);
        config.Training.DataParallelSize(ranks.Size);
    }

    /// <summary>Only inputs can be offloaded, not graphs.</summary>
    internal static void CheckOffload(RunConfig config)
    {
        if (config.Training is { OffloadInputs: true, Recompute: Recompute.None })
        {
            throw new UserException("offload_inputs: true goes with recompute: layers; with recompute: none graphs are kept, which cannot be moved");
        }
    }

    /// <summary>Adapters do not hold CLEX's equation, and its gradient is that of one rotation for all layers.</summary>
    private static void CheckClex(RunConfig config, LlamaConfig model, PositionSetup positions)
    {
        if (!positions.Spec.ToString().Contains(ClexMethod.Entry.Name, StringComparison.Ordinal) || (model.Clex is not null && config.Training.Method == TrainingMethod.Lora))
        {
            return;
        }

        if (config.Training.Method == TrainingMethod.Lora)
        {
            throw new UserException("rope: clex with method: lora needs a checkpoint with a trained equation; method: full trains one");
        }

        if (EquationOf(positions) is null)
        {
            throw new UserException($"rope: {positions.Spec}: clex is trained in all layers, without modifiers and sliding windows");
        }
    }

    private static ModelFolder OpenBase(string folder) => AdapterCheckpoint.ExistsIn(folder)
        ? throw new UserException($"--model {folder}: holds adapters; training begins from a plain checkpoint, which 'cutoff merge --model {folder} --out DIR' makes of them")
        : ModelFolder.Open(folder);
}
