using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

/// <summary>The inputs of the golden cases, by the names that golden/operators.py gives them.</summary>
internal sealed class GoldenInputs(Dictionary<string, Tensor> tensors)
{
    /// <summary>[2, 3, 4], normal.</summary>
    internal Tensor X => tensors["x"];

    /// <summary>[2, 3, 4], normal.</summary>
    internal Tensor Y => tensors["y"];

    /// <summary>[2, 3, 4], positive.</summary>
    internal Tensor P => tensors["p"];

    /// <summary>[4], normal.</summary>
    internal Tensor R => tensors["r"];

    /// <summary>[3, 4], normal.</summary>
    internal Tensor A => tensors["a"];

    /// <summary>[4, 5], normal.</summary>
    internal Tensor B => tensors["b"];

    /// <summary>[3, 3], normal.</summary>
    internal Tensor S => tensors["s"];

    /// <summary>[2, 3, 4], whole numbers below 3.</summary>
    internal Tensor I => tensors["i"];

    /// <summary>[2], whole numbers below 3.</summary>
    internal Tensor J => tensors["j"];

    /// <summary>[3], whole numbers below 3.</summary>
    internal Tensor T => tensors["t"];

    /// <summary>[2, 3, 4], truth values.</summary>
    internal Tensor M => tensors["m"];

    /// <summary>[4], rising.</summary>
    internal Tensor U => tensors["u"];
}
