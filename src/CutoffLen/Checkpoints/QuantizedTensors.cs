using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// Weights in 4 bits among the tensors of a checkpoint, as bitsandbytes stores them (bitsandbytes/functional.py,
/// QuantState.as_dict): beside NAME.weight, uint8 [n / 2, 1], are NAME.weight.absmax, .quant_map, .nested_absmax,
/// .nested_quant_map, and .quant_state.bitsandbytes__nf4, a JSON object as bytes.
/// </summary>
internal sealed class QuantizedTensors(IReadOnlyDictionary<string, (ITensorFile File, SafetensorsEntry Entry)> tensors)
{
    private const string Absmax = ".absmax";
    private const string QuantMap = ".quant_map";
    private const string NestedAbsmax = ".nested_absmax";
    private const string NestedQuantMap = ".nested_quant_map";
    private const string State = ".quant_state.bitsandbytes__nf4";
    private const int Codes = 16;
    private const int NestedCodes = 256;
    private const int MostStateBytes = 1 << 16;

    private static readonly string[] Companions = [Absmax, QuantMap, NestedAbsmax, NestedQuantMap, State];
    private static readonly (string Name, ScalarType Dtype)[] Dtypes =
        [("bfloat16", ScalarType.BFloat16), ("float16", ScalarType.Float16), ("float32", ScalarType.Float32)];

    /// <summary>Whether a weight is stored in bytes.</summary>
    public bool Contains(string weight) => tensors.TryGetValue(weight, out var found) && found.Entry.Dtype == ScalarType.Byte;

    /// <summary>The names of the tensors that may be beside a weight.</summary>
    public static IEnumerable<string> Beside(string weight) => Companions.Select(companion => weight + companion);

    /// <summary>What is wrong with a weight and the tensors beside it, or null. Reads the JSON object alone.</summary>
    public string? Fault(string weight, long[] shape)
    {
        try
        {
            var state = ReadState(weight, shape);
            return Layout(shape, state).Select(tensor => Fault(weight, tensor.Suffix, tensor.Dtype, tensor.Shape)).FirstOrDefault(fault => fault is not null);
        }
        catch (UserException fault)
        {
            return fault.Message;
        }
    }

    /// <summary>Reads a weight that has no fault.</summary>
    /// <param name="weight">Its name.</param>
    /// <param name="shape">[out, in].</param>
    /// <param name="dtype">What the weight is computed with.</param>
    /// <param name="device">Where it shall be.</param>
    public Nf4Weight Read(string weight, long[] shape, ScalarType dtype, Device device)
    {
        var stored = ReadState(weight, shape);
        var nested = stored.Nested is not { } inner ? null : new NestedQuantState(Tensor(NestedAbsmax), Tensor(NestedQuantMap), inner.BlockSize, inner.Offset);
        return new Nf4Weight(Tensor(""), new QuantState(Tensor(Absmax), Tensor(QuantMap), stored.BlockSize, stored.Dtype, nested), shape, dtype);

        Tensor Tensor(string suffix) => tensors[weight + suffix].File.Read(weight + suffix, device: device);
    }

    /// <summary>Every tensor of a weight, the weight's own first.</summary>
    private static IEnumerable<(string Suffix, ScalarType Dtype, long[] Shape)> Layout(long[] shape, StoredState state)
    {
        var count = shape[0] * shape[1];
        var blocks = count / state.BlockSize;
        yield return ("", ScalarType.Byte, [count / 2, 1]);
        yield return (QuantMap, ScalarType.Float32, [Codes]);
        yield return (Absmax, state.Nested is null ? ScalarType.Float32 : ScalarType.Byte, [blocks]);
        if (state.Nested is { BlockSize: var size })
        {
            yield return (NestedAbsmax, ScalarType.Float32, [(blocks + size - 1) / size]);
            yield return (NestedQuantMap, ScalarType.Float32, [NestedCodes]);
        }
    }

    private string? Fault(string weight, string suffix, ScalarType dtype, long[] shape)
    {
        if (!tensors.TryGetValue(weight + suffix, out var found))
        {
            return $"{tensors[weight].File.Path}: {JsonFile.Show(weight)} is in 4 bits, but {JsonFile.Show(weight + suffix)} is missing";
        }

        var entry = found.Entry;
        return entry.Dtype == dtype && entry.Shape.AsSpan().SequenceEqual(shape)
            ? null
            : $"{found.File.Path}: {JsonFile.Show(weight + suffix)} is {Describe(entry.Dtype, entry.Shape)}; by config.json and the weight's quant_state it must be {Describe(dtype, shape)}";
    }

    private static string Describe(ScalarType dtype, long[] shape) => $"{SafetensorsHeader.Describe(dtype).Name} [{string.Join(", ", shape)}]";

    private StoredState ReadState(string weight, long[] shape)
    {
        var name = weight + State;
        if (!tensors.TryGetValue(name, out var found))
        {
            throw new UserException($"{tensors[weight].File.Path}: {JsonFile.Show(weight)} is U8, but has no {JsonFile.Show(name)}: read are weights that bitsandbytes saved in nf4");
        }

        var source = $"{found.File.Path}: {JsonFile.Show(name)}";
        if (found.Entry.Dtype != ScalarType.Byte || found.Entry.Bytes > MostStateBytes)
        {
            throw new UserException($"{source} is {Describe(found.Entry.Dtype, found.Entry.Shape)}; allowed is a JSON object as U8");
        }

        using var bytes = found.File.Read(name);
        var json = JsonFile.ParseObject(bytes.bytes.ToArray(), source);
        var keys = new JsonKeys(json);
        var state = new StoredState(
            BlockSize(keys, "blocksize"), Word(keys, "dtype", Dtypes),
            json.ContainsKey("nested_blocksize") ? new(BlockSize(keys, "nested_blocksize"), keys.Number("nested_offset", 0)) : null);
        Word(keys, "quant_type", ("nf4", 0));
        if (keys.Node("shape") is not JsonArray stored || !stored.Select(size => size.AsNumber()).SequenceEqual(shape.Select(size => (double?)size)))
        {
            keys.Problems.Add($"\"shape\" must be that of config.json, [{string.Join(", ", shape)}]");
        }

        if (state.Nested is not null)
        {
            Word(keys, "nested_dtype", ("float32", 0));
            if (keys.Node("nested_offset") is null)
            {
                keys.Problems.Add("\"nested_offset\" is missing");
            }
        }

        if (keys.Problems.Count == 0 && shape[0] * shape[1] % state.BlockSize != 0)
        {
            keys.Problems.Add($"[{string.Join(", ", shape)}] is no whole number of blocks of {state.BlockSize} numbers");
        }

        return keys.Problems.Count == 0 ? state : throw new UserException($"{source}: {string.Join("; ", keys.Problems)}");
    }

    /// <summary>The sizes that bitsandbytes has.</summary>
    private static int BlockSize(JsonKeys keys, string key)
    {
        var size = keys.Int(key, 32, 4096);
        return int.IsPow2(size) ? size : keys.Wrong(key, keys.Node(key)!, "a power of 2", Nf4Weight.BlockSize);
    }

    private static T Word<T>(JsonKeys keys, string key, params (string Word, T Value)[] words)
    {
        var text = keys.Text(key);
        if (words.Where(word => word.Word == text).ToList() is [var (_, value)])
        {
            return value;
        }

        keys.Problems.Add($"\"{key}\" is {(text is null ? "missing" : JsonFile.Show(text))}; allowed is {string.Join(", ", words.Select(word => word.Word))}");
        return words[0].Value;
    }

    /// <summary>What the JSON object says.</summary>
    private sealed record StoredState(int BlockSize, ScalarType Dtype, (int BlockSize, double Offset)? Nested);
}
