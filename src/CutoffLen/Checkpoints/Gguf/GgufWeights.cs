using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// The weights of a GGUF file by Hugging Face's names and in its order of rows, read from the file when they are asked for. q8_0 is read as float32, which
/// has all of its numbers.
/// </summary>
internal sealed class GgufWeights : ITensorFile
{
    private readonly SafetensorsFile stored;
    private readonly Dictionary<string, (GgufEntry Stored, int? Heads)> byName = new(StringComparer.Ordinal);

    private GgufWeights(GgufFile file, LlamaConfig config)
    {
        // As many as the file holds are enough: config.json may say any number of layers.
        var names = LlamaParameters.Of(config).Take(file.Tensors.Count).ToDictionary(parameter => GgufArchitecture.NameOf(parameter.Name), parameter => parameter.Name, StringComparer.Ordinal);
        var architecture = file.Value<string>(GgufConfig.ArchitectureKey) ?? "";
        foreach (var tensor in file.Tensors.Where(tensor => !GgufConfig.IsFactors(tensor.Name)))
        {
            var name = names.GetValueOrDefault(tensor.Name, tensor.Name);
            if (!byName.TryAdd(name, (tensor, GgufArchitecture.ReorderedHeads(architecture, name, config))))
            {
                throw file.Fault($"tensor {JsonFile.Show(tensor.Name)} is there under two names");
            }
        }

        stored = SafetensorsFile.Over(file.Path, [.. file.Tensors.SelectMany(AsStored)]);
        Tensors = [.. byName.Select(tensor => new SafetensorsEntry(tensor.Key, DtypeOf(tensor.Value.Stored.Type), tensor.Value.Stored.Shape, tensor.Value.Stored.Offset, tensor.Value.Stored.Bytes))];
    }

    /// <inheritdoc/>
    public string Path => stored.Path;

    /// <summary>llama.cpp's names of the types in which the weights are stored, that of the most bytes first.</summary>
    public IReadOnlyList<string> Types =>
        [.. byName.Values.GroupBy(tensor => tensor.Stored.Type, tensor => tensor.Stored.Bytes).OrderByDescending(bytes => bytes.Sum()).Select(bytes => bytes.Key.Name())];

    /// <inheritdoc/>
    public IReadOnlyList<SafetensorsEntry> Tensors { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <param name="config">The network whose parameters it has.</param>
    /// <exception cref="UserException">The file is damaged, or llama.cpp has no such network.</exception>
    public static GgufWeights Open(string path, LlamaConfig config)
    {
        GgufArchitecture.Require(config);
        return new GgufWeights(GgufFile.Open(path), config);
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType? dtype = null, Device? device = null)
    {
        var (tensor, heads) = byName[name];
        if (tensor.Type != GgufType.Q8 && heads is null)
        {
            return stored.Read(AsStored(tensor)[0].Name, dtype, device);
        }

        using var scope = NewDisposeScope();
        var values = tensor.Type == GgufType.Q8 ? Dequantized(tensor) : stored.Read(AsStored(tensor)[0].Name);
        values = heads is { } count ? GgufArchitecture.Deinterleaved(values, count) : values;
        return values.to(dtype ?? values.dtype).to(device ?? CPU).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void ForgetMaps() => stored.ForgetMaps();

    /// <inheritdoc/>
    public void Dispose() => stored.Dispose();

    private static ScalarType DtypeOf(GgufType type) => type switch
    {
        GgufType.F16 => ScalarType.Float16,
        GgufType.BF16 => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };

    /// <summary>A tensor as its bytes are, one of q8_0 as bytes and as halves. Its place is its name: names in a file may be any.</summary>
    private static SafetensorsEntry[] AsStored(GgufEntry tensor)
    {
        SafetensorsEntry Of(ScalarType dtype, params long[] shape) => new($"{dtype} at {tensor.Offset}", dtype, shape, tensor.Offset, tensor.Bytes);
        var blocks = tensor.Bytes / GgufTypes.BlockBytes;
        return tensor.Type == GgufType.Q8
            ? [Of(ScalarType.Byte, blocks, GgufTypes.BlockBytes), Of(ScalarType.Float16, blocks, GgufTypes.BlockBytes / sizeof(ushort))]
            : [Of(DtypeOf(tensor.Type), tensor.Shape)];
    }

    /// <summary>Scale times number, a scale for 32 numbers (dequantize_row_q8_0 in ggml-quants.c).</summary>
    private Tensor Dequantized(GgufEntry tensor)
    {
        var (bytes, halves) = (stored.Read(AsStored(tensor)[0].Name), stored.Read(AsStored(tensor)[1].Name));
        var numbers = bytes.narrow(1, sizeof(ushort), GgufTypes.BlockSize).to(ScalarType.Int8).to(ScalarType.Float32); // bytes from 128 on are negative
        return numbers.mul_(halves.narrow(1, 0, 1).to(ScalarType.Float32)).view(tensor.Shape);
    }
}
