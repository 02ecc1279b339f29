using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using static TorchSharp.torch;

namespace CutoffLen.LlamaCppTests;

/// <summary>Small checkpoints, their GGUF files, and what this program makes of them.</summary>
internal static class Exported
{
    /// <summary>Tokens that the small model is native to.</summary>
    public const int Native = 32;

    /// <summary>Rows of q8_0's 32 numbers, grouped heads; a name and the layers are all that differ between families.</summary>
    public static LlamaConfig Config { get; } = new()
    {
        VocabSize = 61,
        HiddenSize = 64,
        IntermediateSize = 96,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 16,
        MaxPositionEmbeddings = Native,
    };

    /// <summary>Saves a checkpoint under a position method and exports it.</summary>
    public static (string Folder, GgufReport Report) Write(TemporaryFolder folder, LlamaConfig config, string spec, int target)
    {
        using var scope = NewDisposeScope();
        var positioned = config.With(PositionConfig.Of(config.SetupFor(PositionMethods.Parse(spec), target), config.ModelType));
        CheckpointWriter.Save(folder["model"], positioned, Weights(config));
        return (folder["model"], GgufExport.Write(folder["model"], folder["model.gguf"], GgufType.F32));
    }

    /// <summary>The folder that a GGUF file is read as, in a cache of the test's own.</summary>
    public static string ReadBack(TemporaryFolder folder, string file = "model.gguf")
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", folder["cache"]);
        return GgufImport.Folder(folder[file]);
    }

    /// <summary>The negative log-likelihoods that <c>cutoff score</c> prints, in float32 on the CPU.</summary>
    public static double[] Score(string model, int[] ids, string spec = "auto")
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var session = ModelSession.Open(model, DeviceAndDtype.Choose("cpu", "fp32"));
        var positioned = session.Under(session.Folder.Config.SetupFor(PositionMethods.Parse(spec), ids.Length));
        using var plan = positioned.Plan(TokenPositions.Sequential(ids.Length));
        var tokens = tensor(ids, ScalarType.Int64);
        var nll = TokenLikelihood.OfDocument(positioned.Model, positioned.Model.Hidden(tokens.unsqueeze(0), plan)[0], tokens);
        return nll.to(ScalarType.Float64).data<double>().ToArray();
    }

    /// <summary>Token ids, the same each time.</summary>
    public static int[] Ids(int count)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Config.VocabSize))];
    }

    /// <summary>Weights large enough that attention is far from uniform; biases and norms that are no 0 and 1.</summary>
    private static IEnumerable<(string Name, Tensor Tensor)> Weights(LlamaConfig config)
    {
        var generator = new Generator(3, CPU);
        return [.. LlamaParameters.Of(config).Select(parameter => (
            parameter.Name,
            parameter.Shape.Length == 1 ? rand(parameter.Shape, generator: generator) + 0.5 : randn(parameter.Shape, generator: generator) * 0.2))];
    }
}
