using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>An open file of tensors, of whatever format.</summary>
internal interface ITensorFile : IDisposable
{
    /// <summary>Where the file is.</summary>
    string Path { get; }

    /// <summary>The tensors, as <see cref="Read"/> gives them.</summary>
    IReadOnlyList<SafetensorsEntry> Tensors { get; }

    /// <summary>Reads one tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dtype">The wanted element type; null for the stored one.</param>
    /// <param name="device">Where it shall be; null for the CPU.</param>
    Tensor Read(string name, ScalarType? dtype = null, Device? device = null);

    /// <summary>Lets tensors read before and after share no memory.</summary>
    void ForgetMaps();
}
