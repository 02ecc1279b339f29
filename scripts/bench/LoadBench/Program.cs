// LoadBench make FOLDER LAYERS | read FOLDER | load FOLDER bf16|fp32
// One line of numbers: seconds until the model is there, seconds until every byte of it was looked at, peak resident
// bytes of this process, bytes of the weights, and a sum over all of them as 64-bit numbers.
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using CutoffLen.Checkpoints;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

switch (args)
{
    case ["make", var folder, var layers]:
        Make(folder, int.Parse(layers, CultureInfo.InvariantCulture));
        break;
    case ["read", var folder]:
        Read(folder);
        break;
    case ["load", var folder, var dtype]:
        Load(folder, dtype == "bf16" ? ScalarType.BFloat16 : ScalarType.Float32);
        break;
    default:
        Console.Error.WriteLine("LoadBench make FOLDER LAYERS | read FOLDER | load FOLDER bf16|fp32");
        return 1;
}

return 0;

// A model of width 2048 with random weights. Layers share their tensors, so that making it takes little memory.
static void Make(string folder, int layers)
{
    using var scope = NewDisposeScope();
    var config = new LlamaConfig
    {
        VocabSize = 32_000, HiddenSize = 2048, IntermediateSize = 5632, NumHiddenLayers = layers, NumAttentionHeads = 32,
        NumKeyValueHeads = 4, HeadDim = 64, MaxPositionEmbeddings = 2048,
    };
    var shared = new Dictionary<string, Tensor>();
    var weights = LlamaParameters.Of(config).Select(parameter =>
    {
        var key = string.Join('x', parameter.Shape);
        var tensor = shared.TryGetValue(key, out var known) ? known : shared[key] = randn(parameter.Shape).to(ScalarType.BFloat16);
        return (parameter.Name, tensor);
    });
    CheckpointWriter.Save(folder, config, weights.ToList());
}

static void Read(string folder)
{
    var clock = Stopwatch.StartNew();
    var (bytes, sum) = (0L, 0ul);
    var buffer = new byte[16 << 20];
    foreach (var path in Directory.EnumerateFiles(folder, "*.safetensors"))
    {
        using var file = File.OpenHandle(path, options: FileOptions.SequentialScan);
        RandomAccess.Read(file, buffer.AsSpan(0, 8), 0);
        for (var at = 8 + BitConverter.ToInt64(buffer); RandomAccess.Read(file, buffer, at) is > 0 and var got; at += got)
        {
            sum += Sum(buffer.AsSpan(0, got));
            bytes += got;
        }
    }

    Report(clock.Elapsed, clock.Elapsed, bytes, sum);
}

static void Load(string folder, ScalarType dtype)
{
    // libtorch's own start, the same for any work, is not loading.
    empty(1).Dispose();
    var clock = Stopwatch.StartNew();
    using var checkpoint = HuggingFaceCheckpoint.Open(folder);
    var model = checkpoint.Load(dtype: dtype);
    var built = clock.Elapsed;
    var (bytes, sum) = (0L, 0ul);
    foreach (var weight in model.parameters())
    {
        sum += Sum(weight.bytes);
        bytes += weight.bytes.Length;
    }

    Report(built, clock.Elapsed, bytes, sum);
}

static ulong Sum(ReadOnlySpan<byte> bytes)
{
    var vectors = MemoryMarshal.Cast<byte, Vector<ulong>>(bytes);
    var total = Vector<ulong>.Zero;
    foreach (var vector in vectors)
    {
        total += vector;
    }

    var sum = Vector.Sum(total);
    foreach (var rest in MemoryMarshal.Cast<byte, ulong>(bytes[(vectors.Length * Vector<byte>.Count)..]))
    {
        sum += rest;
    }

    return sum;
}

static void Report(TimeSpan built, TimeSpan touched, long bytes, ulong sum)
{
    var peak = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
    var kilobytes = long.Parse(peak.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    Console.WriteLine($"{built.TotalSeconds:0.000} {touched.TotalSeconds:0.000} {kilobytes * 1024} {bytes} {sum:x16}");
}
