using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;
using CutoffLen.Tokenization;
using TorchSharp;

namespace CutoffLen.Cli.Commands;

/// <summary>What a checkpoint is, and what theory says of its context.</summary>
internal static class Inspection
{
    /// <summary>Opens a checkpoint, or adapters with their base; reads no weights. A configuration alone does too.</summary>
    public static Report Of(string folder)
    {
        if (HuggingFaceCheckpoint.IsConfigurationAlone(folder))
        {
            var alone = HuggingFaceCheckpoint.ReadConfig(folder, out _);
            return new Report(folder, null, null, new Architecture(alone), null, new Positions(alone), new Theory(alone));
        }

        using var opened = ModelFolder.Open(folder);
        var (checkpoint, config) = (opened.Checkpoint, opened.Config);
        return new Report(
            checkpoint.Source,
            opened.Adapters is { } adapters ? new Adapters(folder, adapters) : null,
            new Files(checkpoint),
            new Architecture(config),
            opened.HasTokenizer ? new Tokenizer(opened.Tokenizer) : null,
            new Positions(config),
            new Theory(config));
    }

    /// <summary>Names and values for people.</summary>
    public static IReadOnlyList<(string Name, string Value)> Fields(Report report)
    {
        var (model, positions, theory) = (report.Architecture, report.Positions, report.Theory);
        var tied = model.TieWordEmbeddings ? ", the head is the embedding" : "";
        return
        [
            .. report.Adapters is { } adapters
                ? new[] { ("adapters", $"{adapters.Folder}: rank {adapters.R} on {string.Join(", ", adapters.TargetModules)}{Whole(adapters)}, over the checkpoint") }
                : [],
            ("checkpoint", $"{report.Checkpoint}: {(report.Files is { } files ? $"{files.Tensors} tensors in {files.Count} file{(files.Count == 1 ? "" : "s")}, {Size(files.Bytes)}, {files.Dtype}" : "a configuration without weights")}"),
            ("model", $"{model.ModelType}, {model.Parameters:N0} parameters{tied}"),
            ("layers", $"{model.NumHiddenLayers} of width {model.HiddenSize}, MLP {model.IntermediateSize}{Biases(model)}"),
            ("heads", $"{model.NumAttentionHeads} for queries, {model.NumKeyValueHeads} for keys and values, dimension {model.HeadDim}{Rotated(model)}{Windows(model)}"),
            ("vocabulary", $"{model.VocabSize} tokens"),
            ("tokenizer", report.Tokenizer?.Description ?? "none in this folder"),
            ("cache", $"{Size(model.CacheBytesPerToken)} a token in bf16, {Size(model.CacheBytesPerToken * positions.NativeLength)} at the native length"),
            ("positions", $"{positions.Method}, base {positions.RopeTheta:N0}"),
            ("context", $"native {positions.NativeLength} tokens, max_position_embeddings {positions.MaxPositionEmbeddings}"),
            ("theory", $"critical dimension {theory.CriticalDimension} of {model.RotaryDim} (arXiv 2310.05209)"),
            ("", $"extrapolation bound of these positions: {Tokens(theory.ExtrapolationBound)} (arXiv 2310.05209)"),
            .. theory.ScalingLaw is { } law
                ? new[] { ("", $"fine-tuned at {law.TuningLength} tokens, bases above {law.CriticalBase:N0} or below {law.SmallBases[0]:N0} reach beyond them (arXiv 2310.05209)") }
                : [],
            ("", $"least base for the native length: {theory.LeastBase:N0}{(theory.LeastBase > positions.RopeTheta ? ", above this model's" : "")} (arXiv 2405.14591)"),
            ("", $"{theory.ShareWithoutFullTurn * 100:0}% of the rotary pairs make no full turn within the native length; the slowest takes {Tokens(theory.LongestWavelength)}"),
        ];
    }

    private static string Whole(Adapters adapters) =>
        adapters.ModulesToSave.Count == 0 ? "" : $"; {string.Join(", ", adapters.ModulesToSave)} trained whole";

    private static string Rotated(Architecture model) => model.RotaryDim == model.HeadDim ? "" : $", of which {model.RotaryDim} encode positions";

    private static string Windows(Architecture model) =>
        model.Windows?.OfType<int>().ToList() is { } windows ? $"; sliding window of {windows[0]} tokens in {windows.Count} of {model.NumHiddenLayers} layers" : "";

    private static string Biases(Architecture model) => (model.QkvBias, model.OutputBias, model.MlpBias) switch
    {
        (false, false, false) => "",
        (true, false, false) => ", biases on q, k, v",
        (true, true, false) => ", biases in attention",
        (false, _, true) => ", biases in the MLP",
        _ => ", biases everywhere",
    };

    private static string Size(long bytes) => bytes switch
    {
        >= 1 << 30 => $"{bytes / (double)(1 << 30):0.00} GiB",
        >= 1 << 20 => $"{bytes / (double)(1 << 20):0.0} MiB",
        >= 1 << 10 => $"{bytes / (double)(1 << 10):0.0} KiB",
        _ => $"{bytes} bytes",
    };

    private static string Tokens(double tokens) => double.IsFinite(tokens) ? $"{tokens:N0} tokens" : "without bound";

    /// <summary>What a checkpoint is; the JSON of <c>cutoff inspect</c>.</summary>
    public sealed record Report(string Checkpoint, Adapters? Adapters, Files? Files, Architecture Architecture, Tokenizer? Tokenizer, Positions Positions, Theory Theory);

    public sealed record Adapters(string Folder, int R, double Scale, IReadOnlyList<string> TargetModules, IReadOnlyList<string> ModulesToSave)
    {
        public Adapters(string folder, AdapterConfig adapters)
            : this(folder, adapters.R, adapters.Scale, adapters.TargetModules.Texts, adapters.ModulesToSave) { }
    }

    public sealed record Files(int Count, int Tensors, long Bytes, string Dtype)
    {
        public Files(HuggingFaceCheckpoint checkpoint)
            : this(checkpoint.FileCount, checkpoint.Tensors.Count, checkpoint.StoredBytes, Types(checkpoint)) { }

        private static string Types(HuggingFaceCheckpoint checkpoint)
        {
            string[] types = checkpoint.GgufTypes is { Count: > 0 } gguf ? [.. gguf]
                : checkpoint.Config.Quantization is null ? [Name(checkpoint.StoredDtype)] : [Name(checkpoint.StoredDtype), "nf4"];
            return types is [var one] ? one : $"{string.Join(", ", types[..^1])} and {types[^1]}";
        }

        private static string Name(torch.ScalarType dtype) => dtype switch
        {
            torch.ScalarType.BFloat16 => "bf16",
            torch.ScalarType.Float16 => "fp16",
            torch.ScalarType.Float32 => "fp32",
            _ => "fp64",
        };
    }

    public sealed record Architecture(
        string ModelType,
        long Parameters,
        int NumHiddenLayers,
        int HiddenSize,
        int IntermediateSize,
        int NumAttentionHeads,
        int NumKeyValueHeads,
        int HeadDim,
        int RotaryDim,
        IReadOnlyList<int?>? Windows,
        int VocabSize,
        bool TieWordEmbeddings,
        bool QkvBias,
        bool OutputBias,
        bool MlpBias,
        long CacheBytesPerToken)
    {
        public Architecture(LlamaConfig config)
            : this(
                config.ModelType,
                LlamaParameters.Count(config),
                config.NumHiddenLayers,
                config.HiddenSize,
                config.IntermediateSize,
                config.NumAttentionHeads,
                config.NumKeyValueHeads,
                config.HeadDim,
                config.RotaryDim,
                config.Windows,
                config.VocabSize,
                config.TieWordEmbeddings,
                config.QkvBias,
                config.OutputBias,
                config.MlpBias,
                // Keys and values of every layer, two bytes a number.
                2L * 2 * config.NumHiddenLayers * config.NumKeyValueHeads * config.HeadDim) { }
    }

    public sealed record Tokenizer(string Description, string File, int VocabularySize, int? BosId, int? EosId, string Fingerprint)
    {
        public Tokenizer(CheckpointTokenizer tokenizer)
            : this(tokenizer.Description, Path.GetFileName(tokenizer.Path), tokenizer.VocabularySize, tokenizer.SpecialTokens.Bos, tokenizer.SpecialTokens.Eos, tokenizer.Fingerprint) { }
    }

    public sealed record Positions(string Method, double RopeTheta, int NativeLength, int MaxPositionEmbeddings)
    {
        public Positions(LlamaConfig config)
            : this(
                config.SetupFor(PositionMethods.Auto, config.MaxPositionEmbeddings).Spec.ToString(),
                config.RopeTheta,
                config.NativeLength,
                config.MaxPositionEmbeddings) { }
    }

    public sealed record Theory(int CriticalDimension, double ExtrapolationBound, double LeastBase, double ShareWithoutFullTurn, double LongestWavelength, ScalingLaw? ScalingLaw, AngleDisturbance AngleDisturbance)
    {
        public Theory(LlamaConfig config)
            : this(RopeTheory.CriticalDimension(config.RotaryDim, config.RopeTheta, config.NativeLength), config, new Frequencies(config.Positions.InverseFrequencies())) { }

        private Theory(int critical, LlamaConfig config, Frequencies vanilla)
            : this(
                critical,
                InForce(config).DefaultIfEmpty(vanilla).Min(frequencies => RopeTheory.ExtrapolationBound(frequencies, critical)),
                RopeTheory.LeastBase(config.RotaryDim, config.NativeLength),
                RopeTheory.ShareWithoutFullTurn(vanilla, config.NativeLength),
                RopeTheory.Wavelengths(vanilla).Max(),
                ScalingLaw.Of(config.Positions, InForce(config).FirstOrDefault(vanilla), Math.Max(config.MaxPositionEmbeddings, config.NativeLength)),
                AngleDisturbance.Of(InForce(config).FirstOrDefault(vanilla), config.MaxPositionEmbeddings, config.Positions)) { }

        /// <summary>The frequencies of the checkpoint's own methods at its full length, of those that only define frequencies.</summary>
        private static IEnumerable<Frequencies> InForce(LlamaConfig config) =>
            config.SetupFor(PositionMethods.Auto, config.MaxPositionEmbeddings).Layers.Distinct.OfType<FrequencyMethod>()
                .Select(method => method.Frequencies(config.MaxPositionEmbeddings));
    }
}
