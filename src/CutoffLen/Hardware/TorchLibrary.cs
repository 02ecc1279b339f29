using System.Reflection;
using System.Text;
using CutoffLen.Common;
using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>The libtorch of this program, and whether it loads.</summary>
/// <param name="Torchsharp">Version of the TorchSharp assembly.</param>
/// <param name="Libtorch">Version of libtorch, or null when it did not load.</param>
/// <param name="Problem">Why libtorch did not load, or null.</param>
public sealed record TorchLibrary(string Torchsharp, string? Libtorch, string? Problem)
{
    private const string Glibcxx = "GLIBCXX_3.4.32";

    /// <summary>The symbol version that libstdc++ lacks here and src/glibcxx.targets made weak in TorchSharp's library, or null.</summary>
    public string? WeakNeed => Libtorch is null || LibstdcxxHas(Glibcxx) ? null : Glibcxx;

    /// <summary>Loads libtorch and reports the result.</summary>
    public static TorchLibrary Load()
    {
        var assembly = typeof(torch).Assembly;
        var version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? assembly.GetName().Version!.ToString();
        var output = Console.Out;
        try
        {
            Console.SetOut(TextWriter.Null); // TorchSharp 0.107 prints what it throws, which would spoil JSON
            // Any native call loads it; the version alone is a constant.
            _ = torch.get_num_threads();
            return new TorchLibrary(version, torch.__version__, null);
        }
        catch (Exception failure) when (IsLoadFailure(failure))
        {
            return new TorchLibrary(version, null, failure.GetBaseException().Message.ReplaceLineEndings(" ").Trim());
        }
        finally
        {
            Console.SetOut(output);
        }
    }

    /// <summary>Loads libtorch or explains what is missing.</summary>
    /// <exception cref="UserException">It does not load.</exception>
    public static void Require()
    {
        if (Load().Problem is { } problem)
        {
            throw new UserException($"libtorch does not load: {problem}; 'cutoff env' shows the state");
        }
    }

    private static bool LibstdcxxHas(string version)
    {
        var file = File.ReadLines("/proc/self/maps").First(line => line.Contains("/libstdc++.so", StringComparison.Ordinal));
        return File.ReadAllBytes(file[file.IndexOf('/', StringComparison.Ordinal)..]).AsSpan().IndexOf(Encoding.ASCII.GetBytes($"\0{version}\0")) >= 0;
    }

    private static bool IsLoadFailure(Exception failure) =>
        failure is TypeInitializationException or DllNotFoundException or EntryPointNotFoundException or BadImageFormatException or NotSupportedException;
}
