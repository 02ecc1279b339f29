using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>What was exported.</summary>
/// <param name="File">The file.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Tensors">Tensors in it.</param>
/// <param name="Type">Element type of the matrices, in llama.cpp's name.</param>
/// <param name="Architecture">general.architecture.</param>
/// <param name="Method">The position method, as a spec.</param>
/// <param name="Positions">How the file says it.</param>
/// <param name="Tokenizer">The tokenizer's kind, or null where the checkpoint has none.</param>
/// <param name="Notes">Where llama.cpp does something else all the same.</param>
public sealed record GgufReport(
    string File, long Bytes, int Tensors, string Type, string Architecture, string Method, string Positions, string? Tokenizer, IReadOnlyList<string> Notes);

/// <summary>
/// Writes a checkpoint as a GGUF file for llama.cpp: weights, tokenizer and position method. What llama.cpp would compute differently is an error; where
/// it differs on some texts only, that is a note.
/// </summary>
public static class GgufExport
{
    // ggml.h, GGML_QNT_VERSION.
    private const int QuantizationVersion = 2;

    /// <summary>Writes the file, whole or not at all. Memory holds one tensor in float32.</summary>
    /// <param name="folder">A plain checkpoint.</param>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="type">Element type of the matrices; null for the stored one. Vectors are float32.</param>
    /// <param name="stop">Stops between two tensors; no file is left then.</param>
    /// <exception cref="UserException">Adapters, or something that GGUF or llama.cpp has no form for; or the file system refuses.</exception>
    public static GgufReport Write(string folder, string path, GgufType? type = null, CancellationToken stop = default)
    {
        if (AdapterCheckpoint.ExistsIn(folder))
        {
            throw new UserException($"{folder}: holds adapters; 'cutoff merge --model {folder} --out DIR' makes the checkpoint that can be exported");
        }

        if (Directory.Exists(path))
        {
            throw new UserException($"{path}: is a folder; give a file, such as {Path.Combine(path, "model.gguf")}");
        }

        using var model = ModelFolder.Open(folder);
        var (config, checkpoint) = (model.Config, model.Checkpoint);
        GgufArchitecture.Require(config);
        var setup = config.SetupFor(PositionMethods.Auto, config.MaxPositionEmbeddings);
        var positions = GgufPositions.Of(setup);
        var architecture = new GgufArchitecture(config, positions);
        var tokenizer = model.HasTokenizer ? new GgufTokenizer(folder, model.Tokenizer, config.VocabSize) : null;
        var stored = type ?? StoredType(checkpoint.StoredDtype);

        using var metadata = new GgufMetadata();
        metadata.Add(GgufConfig.ArchitectureKey, architecture.Name);
        metadata.Add("general.type", "model");
        metadata.Add("general.name", model.Name);
        metadata.Add("general.file_type", stored.FileType());
        metadata.Add("general.quantization_version", QuantizationVersion);
        architecture.AddTo(metadata);
        AddTokenizer(metadata, tokenizer, config, checkpoint);

        TorchLibrary.Require();
        var tensors = architecture.Tensors(checkpoint.Weights(CPU, ScalarType.Float32), stored).ToList();
        GgufWriter.Write(path, metadata, tensors, stop);
        return new GgufReport(
            Path.GetFullPath(path), new FileInfo(path).Length, tensors.Count, stored.Name(), architecture.Name, setup.Spec.ToString(), positions.Description,
            tokenizer?.Description, [.. Notes(config, architecture, positions, tokenizer, tensors.Count(tensor => tensor.Type == GgufType.F16 && stored == GgufType.Q8))]);
    }

    private static void AddTokenizer(GgufMetadata metadata, GgufTokenizer? tokenizer, LlamaConfig config, HuggingFaceCheckpoint checkpoint)
    {
        if (tokenizer is null)
        {
            metadata.Add("tokenizer.ggml.model", "none");
            return;
        }

        tokenizer.AddTo(metadata, config.BosTokenId, checkpoint.EosTokenIds);
    }

    private static GgufType StoredType(ScalarType dtype) => dtype switch
    {
        ScalarType.BFloat16 => GgufType.BF16,
        ScalarType.Float16 => GgufType.F16,
        _ => GgufType.F32,
    };

    private static IEnumerable<string> Notes(LlamaConfig config, GgufArchitecture architecture, GgufPositions positions, GgufTokenizer? tokenizer, int notQuantized)
    {
        if (notQuantized > 0)
        {
            yield return $"{notQuantized} matrices have rows that are no multiple of {GgufTypes.BlockSize} numbers, the block of q8_0; they are f16";
        }

        if (config.Quantization is not null)
        {
            yield return "the checkpoint's weights in 4 bits are written as the numbers that they stand for";
        }

        if (tokenizer is null)
        {
            yield return "the checkpoint has no tokenizer, so the file has none: llama.cpp takes token ids only";
        }

        if (config.ModelType == "qwen2" && architecture.Name == "llama")
        {
            yield return "llama.cpp's qwen2 reads no factors of frequencies, so the file says llama, which is the same network";
        }

        if (positions.Scaling == GgufPositions.LongRope)
        {
            yield return $"llama.cpp takes longrope's long factors once the context it allocates is above {positions.Original} tokens, for shorter texts too";
        }

        foreach (var note in tokenizer?.Notes ?? [])
        {
            yield return note;
        }
    }
}
