using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>A tensor in a GGUF file.</summary>
/// <param name="Name">llama.cpp's name.</param>
/// <param name="Shape">Its shape as torch has it; a file has it reversed.</param>
/// <param name="Type">How it is stored.</param>
/// <param name="Offset">Bytes from the start of the file to the first element.</param>
internal sealed record GgufEntry(string Name, long[] Shape, GgufType Type, long Offset)
{
    /// <summary>Bytes of the whole tensor.</summary>
    public long Bytes => Type.Bytes(Shape.Aggregate(1L, (a, b) => a * b));
}

/// <summary>What the header of a GGUF file says.</summary>
/// <param name="Path">The file.</param>
/// <param name="Values">The keys. A value is a long, double, bool or string, or a list as double[] or string[].</param>
/// <param name="Tensors">The tensors in the order of their bytes.</param>
internal sealed record GgufFile(string Path, IReadOnlyDictionary<string, object> Values, IReadOnlyList<GgufEntry> Tensors)
{
    /// <summary>How the names of such files end.</summary>
    public const string Extension = ".gguf";

    /// <summary>Whether a path is a file whose name ends so.</summary>
    public static bool IsOne(string path) => path.EndsWith(Extension, StringComparison.OrdinalIgnoreCase) && File.Exists(path);

    /// <summary>Reads and checks a file's header.</summary>
    /// <exception cref="UserException">The file cannot be read, breaks the format, or has tensors of a type that is not read.</exception>
    public static GgufFile Open(string path)
    {
        try
        {
            var length = JsonFile.LengthOf(path);
            using var reader = new BinaryReader(File.OpenRead(path));
            var (values, tensors) = new GgufHeaderParser(path, reader, length).Read();
            return new GgufFile(path, values, tensors);
        }
        catch (EndOfStreamException fault)
        {
            throw new UserException($"{path}: ends within its header; was the download cut off?", fault);
        }
        catch (DecoderFallbackException fault)
        {
            throw new UserException($"{path}: has a text that is not UTF-8", fault);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be read: {fault.Message}", fault);
        }
    }

    /// <summary>What is wrong with the file, with its path.</summary>
    public UserException Fault(string what) => new($"{Path}: {what}");

    /// <summary>A key's value; null when absent.</summary>
    /// <exception cref="UserException">It is of another kind.</exception>
    public T? Value<T>(string key) => Values.GetValueOrDefault(key) switch
    {
        null => default,
        T value => value,
        long whole when typeof(T) == typeof(double?) => (T)(object)(double)whole,
        _ => throw Fault($"{JsonFile.Show(key)} has a value of another kind than it should"),
    };
}
